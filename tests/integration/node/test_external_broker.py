"""A node at an external broker: the same pipeline, through restarts of the broker and kills of ours."""

import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from gateway.readings.queries import ReadingsReader
from tests.integration.node.conftest import RunningNode, until
from tests.support.mosquitto import IS_INSTALLED, Mosquitto
from tests.support.node import Node

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not IS_INSTALLED, reason="mosquitto is not installed"),
]

UP = "ss/v1/test/dev/plug/up"
WAIT_S = 60.0


class Cluster:
    """A node whose broker is a mosquitto."""

    def __init__(self, folder: Path) -> None:
        self.broker = Mosquitto(folder / "mosquitto", "gateway", "plug", "reader")
        self.node = Node(folder / "home")
        home = self.node.home
        login = home.secrets / "cluster.login"
        login.write_text("gateway\ngateway-pw\n")
        login.chmod(0o600)
        settings = home.settings.read_text()
        lines = (
            f'url = "mqtts://127.0.0.1:{self.broker.port}"\n'
            f'login_file = "secrets/cluster.login"\nauthority_file = "{self.broker.authority}"\n'
        )
        home.settings.write_text(settings.replace("[broker]\n", f"[broker]\n{lines}"))
        self.commands = RunningNode(self.node)

    def client(self, name: str, client_id: str, *, is_clean: bool) -> Client:
        client = Client(CallbackAPIVersion.VERSION2, client_id, clean_session=is_clean)
        client.username_pw_set(name, f"{name}-pw")
        client.tls_set_context(self.broker.context())
        client.reconnect_delay_set(1, 1)
        client.max_inflight_messages_set(20)
        connected = threading.Event()
        client.on_connect = lambda *_: connected.set()
        client.connect("127.0.0.1", self.broker.port)
        client.loop_start()
        assert connected.wait(WAIT_S)
        return client

    def stored(self) -> list[int]:
        """The values of all stored readings, in order."""
        reader = ReadingsReader.open(self.node.home.readings)
        try:
            found = reader.last("plug", 100_000)
        finally:
            reader.close()
        powers = [
            quantity
            for one in found
            for quantity in one.reading.quantities
            if quantity.name == "power_active_total" and quantity.value is not None
        ]
        return [int(Decimal(one.value or 0).scaleb(one.scale)) for one in powers]

    def add_plug(self) -> None:
        """Add a device, and wait until the gateway has subscribed to its topic."""
        added = self.commands.ask("device", "add", "plug", "--profile", "json-energy")
        assert "password" not in added, "its login is the broker's to give"
        until(lambda: self.commands.run("readings", "plug").code == 0)
        client = self.client("plug", "probe", is_clean=True)

        def is_heard() -> bool:
            client.publish(UP, b'{"power_active_total": 0}', qos=1).wait_for_publish(WAIT_S)
            return bool(self.stored())

        wait_for(is_heard)
        client.disconnect()
        client.loop_stop()

    def wait_for_more_than(self, count: int) -> None:
        wait_for(lambda: len(self.stored()) > count)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path)
    cluster.broker.start()
    try:
        with cluster.node as node:
            node.start()
            yield cluster
    finally:
        cluster.broker.stop()


class Plug:
    """Publishes numbers at QoS 2, so that the broker has each of them exactly once."""

    def __init__(self, cluster: Cluster) -> None:
        self._published: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._is_over = threading.Event()
        self._client = cluster.client("plug", "plug", is_clean=False)
        self._client.on_publish = lambda *arguments: self._published.put(arguments[2])
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        """Keep ten messages on their way; no lock is held that paho's thread could wait for."""
        number = waiting = 0
        while not self._is_over.is_set() or waiting:
            if waiting < 10 and not self._is_over.is_set():
                number += 1
                self._client.publish(UP, json.dumps({"power_active_total": number}), qos=2)
                waiting += 1
            time.sleep(0.003)
            while not self._published.empty():
                self._published.get()
                waiting -= 1

    def finish(self) -> None:
        """Stop once everything is acknowledged."""
        self._is_over.set()
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive(), "messages are not acknowledged"
        self._client.disconnect()
        self._client.loop_stop()


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


class Witness:
    """Another persistent subscriber: what the broker passed on. It forgets some when it restarts."""

    def __init__(self, cluster: Cluster) -> None:
        self.heard: set[int] = set()
        subscribed = threading.Event()
        self._client = cluster.client("reader", "witness", is_clean=False)
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.on_message = self._on_message
        self._client.subscribe(UP, qos=1)
        assert subscribed.wait(WAIT_S)

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self.heard.add(int(json.loads(message.payload)["power_active_total"]))

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def test_everything_is_stored_exactly_once_through_restarts_and_kills(cluster: Cluster):
    cluster.add_plug()
    witness, plug = Witness(cluster), Plug(cluster)
    for _ in range(3):
        cluster.wait_for_more_than(len(cluster.stored()) + 20)
        cluster.node.processes["gateway"].kill()
        time.sleep(0.3)
        cluster.node.start("gateway")
        cluster.wait_for_more_than(len(cluster.stored()) + 20)
        cluster.broker.stop()
        time.sleep(0.3)
        cluster.broker.start()
    plug.finish()

    wait_for(lambda: set(cluster.stored()) - {0} >= witness.heard)
    time.sleep(1.0)  # for a repeat that should not come
    numbers = [one for one in cluster.stored() if one]
    assert len(numbers) > 150
    assert sorted(numbers) == sorted(witness.heard)
    witness.stop()


def test_internal_topics_state_and_refusals_go_over_the_external_broker(cluster: Cluster):
    cluster.add_plug()
    seen: dict[str, bytes] = {}

    def on_message(_client: Client, _data: object, message: MQTTMessage) -> None:
        seen[message.topic] = bytes(message.payload)

    reader = cluster.client("reader", "reader", is_clean=True)
    reader.on_message = on_message
    reader.subscribe("ss/v1/#", qos=1)
    plug = cluster.client("plug", "plug", is_clean=True)

    plug.publish(UP, b'{"power_active_total": 1}', qos=1).wait_for_publish(WAIT_S)
    plug.publish(UP, b"nonsense", qos=1).wait_for_publish(WAIT_S)
    wait_for(lambda: "ss/v1/test/dev/plug/rejected" in seen)
    wait_for(lambda: b'"power_active_total"' in seen.get("ss/v1/test/dev/plug/state", b""))
    assert json.loads(seen["ss/v1/test/dev/plug/rejected"])["reason"] == "malformed"

    assert until(lambda: cluster.commands.run("status").code == 0)
    wait_for(lambda: json.loads(seen["ss/v1/test/bridge/health"])["anchored"] > 0)
    for client in (plug, reader):
        client.disconnect()
        client.loop_stop()


def test_a_broker_that_is_away_is_told(cluster: Cluster):
    cluster.broker.stop()
    wait_for(lambda: "is away" in cluster.node.log.read_text())
    status = cluster.commands.run("status")
    assert status.code == 1
    assert f"127.0.0.1:{cluster.broker.port}" in status.line
    cluster.broker.start()
    assert until(lambda: cluster.commands.run("status").code == 0)
