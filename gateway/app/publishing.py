"""Stored readings go back out: retained `state` and `availability`, and counts for the health.

A device's newest reading is published a few times a second at most, however fast it measures.
"""

import asyncio
from collections.abc import Set as AbstractSet

from gateway.errors import Rejected
from gateway.model import topics
from gateway.model.observation import Observation, StoredReading
from gateway.pipeline.normalise import format_state
from gateway.ports import MessageBroker, StoreDone
from gateway.readings.store import ReadingsStore
from ledger.types.reading import Reading

PUBLISH_INTERVAL_S = 0.25  # what a person sees as live


class ReadingPublisher:
    """Asks the store for news; as an `ObservationSink` before it, it counts what is refused."""

    def __init__(self, store: ReadingsStore, gateway: str) -> None:
        self._store = store
        self._gateway = gateway
        self._newest: dict[str, Reading] = {}
        self._available: dict[str, bool] = {}
        self._availability_changed: set[str] = set()
        self._gone: set[str] = set()
        self.rejected = 0

    @property
    def stored(self) -> int:
        """How many readings were stored since the start."""
        return self._store.stored

    def submit(self, observation: Observation, done: StoreDone) -> None:
        """Store an observation, whose device is then available."""

        def stored(result: StoredReading | Rejected) -> None:
            if isinstance(result, StoredReading):
                self.set_available(result.device, is_available=True)
            else:
                self.rejected += 1
            done(result)

        self._store.submit(observation, stored)

    def set_available(self, device: str, *, is_available: bool) -> None:
        """Note that a device answers, or does not."""
        if self._available.get(device) is not is_available:
            self._available[device] = is_available
            self._availability_changed.add(device)

    def forget_others(self, devices: AbstractSet[str]) -> None:
        """Forget the devices that are not among these, and take back what is retained of them."""
        self._take_news()
        gone = self._available.keys() - devices
        for device in gone:
            del self._available[device]
            self._newest.pop(device, None)
        self._availability_changed -= gone
        self._gone = (self._gone | gone) - devices

    @property
    def availability(self) -> dict[str, str]:
        """Device name to `online` or `offline`, for those heard of since the start."""
        return {name: _word(is_on) for name, is_on in self._available.items()}

    async def run(self, broker: MessageBroker) -> None:
        """Publish until cancelled."""
        while True:
            await asyncio.sleep(PUBLISH_INTERVAL_S)
            self._take_news()
            newest, self._newest = self._newest, {}
            for device, reading in newest.items():
                topic = topics.device(self._gateway, device, "state")
                broker.publish(topic, format_state(reading), retain=True)
            changed, self._availability_changed = self._availability_changed, set()
            for device in changed:
                topic = topics.device(self._gateway, device, "availability")
                broker.publish(topic, _word(self._available[device]).encode(), retain=True)
            gone, self._gone = self._gone, set()
            for device in gone:
                for leaf in ("state", "availability"):  # an empty one removes it (MQTT-3.3.1-10)
                    broker.publish(topics.device(self._gateway, device, leaf), b"", retain=True)

    def _take_news(self) -> None:
        news = self._store.take_news()
        self._newest.update(news)
        for device in news.keys() - self._available.keys():
            self.set_available(device, is_available=True)  # it publishes by itself


def _word(is_available: bool) -> str:
    return "online" if is_available else "offline"
