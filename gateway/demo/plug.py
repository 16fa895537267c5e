"""A smart plug: a real paho-mqtt client that publishes readings at QoS 1 and counts the answers."""

import threading
from types import TracebackType
from typing import Self

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from gateway.connectors.simulated.mqtt_plug import build_message
from gateway.demo.stage import PLUG_PASSWORD_FILE
from gateway.settings import Home, broker_endpoint, load_settings

INTERVAL_S = 0.25
FRIDGE_W = 92  # a compressor that runs every third quarter of an hour
FRIDGE_PERIOD = 12


class PlugPublisher:
    """Publishes inside the `with` block. `acknowledged` counts PUBACKs: readings on disk."""

    def __init__(self, home: Home, name: str) -> None:
        self.acknowledged = 0
        self._name = name
        self._endpoint = broker_endpoint(load_settings(home))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._publish, name="plug", daemon=True)
        self._client = Client(CallbackAPIVersion.VERSION2, name)
        self._client.username_pw_set(name, (home.path / PLUG_PASSWORD_FILE).read_text())
        self._client.on_publish = self._count

    def __enter__(self) -> Self:
        self._client.connect_async(*self._endpoint)
        self._client.loop_start()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._client.disconnect()
        self._client.loop_stop()

    def _publish(self) -> None:
        energy_mwh = 0
        turn = 0
        while not self._stop.wait(INTERVAL_S):
            power_w = FRIDGE_W if turn % FRIDGE_PERIOD < FRIDGE_PERIOD // 3 else 1
            energy_mwh += power_w * 250
            turn += 1
            if self._client.is_connected():
                topic, payload = build_message(self._name, power_w, energy_mwh)
                self._client.publish(topic, payload, qos=1)

    def _count(
        self,
        _client: Client,
        _userdata: object,
        _message_id: int,
        _reason: ReasonCode,
        _properties: Properties,
    ) -> None:
        self.acknowledged += 1
