"""An external broker in place of the gateway's own."""

import asyncio
from collections.abc import Callable

from gateway.app.devices import DeviceSet
from gateway.health import Overload
from gateway.messaging.cluster_broker import ClusterBroker
from gateway.messaging.cluster_login import cluster_login
from gateway.readings.store import ReadingsStore
from gateway.settings import Home, Settings

DEVICES_INTERVAL_S = 1.0  # how soon the topics of a new device are subscribed to


class ExternalBroker:
    """A `GatewayBroker` that is a client of somebody else's. Create it in a running event loop."""

    connections = 0  # devices connect elsewhere
    port = 0  # so none of ours is announced

    def __init__(
        self, home: Home, settings: Settings, devices: DeviceSet, store: ReadingsStore
    ) -> None:
        login = cluster_login(home, settings.broker, f"smartshare-{settings.name}")
        self.place = str(settings.broker.url)
        self._broker = ClusterBroker(
            login, settings.name, devices, store.unconfirmed, devices.telemetry
        )

    @property
    def rejected(self) -> int:
        """How many readings were not stored."""
        return self._broker.rejected

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, a line each."""
        return (self._broker.problem,) if self._broker.problem else ()

    @property
    def overload(self) -> Overload:
        """What was too much for this end of it."""
        return Overload(dropped=self._broker.dropped)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish as the gateway itself, at QoS 1."""
        self._broker.publish(topic, payload, retain=retain)

    def add_listener(self, topic_filter: str, callback: Callable[[str, bytes], None]) -> None:
        """Call `callback(topic, payload)` for each message that matches."""
        self._broker.add_listener(topic_filter, callback)

    async def start(self) -> None:
        """Connect in the background; raises `StoreError`."""
        self._broker.start()

    async def run(self) -> None:
        """Follow the devices until cancelled."""
        while True:
            self._broker.update_telemetry()
            await asyncio.sleep(DEVICES_INTERVAL_S)

    async def stop(self) -> None:
        """Disconnect."""
        await self._broker.stop()
