"""A device's QoS 2 readings over the real readings store and journal, in one process, to cut its power.

    exchange_process.py FOLDER MESSAGES

Each line tells what a client learned, in the order in which it did: `publish` (the device sends the next
number), `device HEX` and `reader HEX` (a packet arrived). So a line that is out is in the client's memory.
"""

import asyncio
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from gateway.broker.durable.journal import SqliteJournal
from gateway.model.observation import Measured
from gateway.ports import DeviceMessages
from gateway.readings.store import ReadingsStore
from ledger.types.reading import Quantity
from tests.support.broker_script import METER, Script, make_core
from tests.support.exchange_world import Device, Peer, Reader, split
from tests.support.readings import NODE_ID, PROFILE, ManualClock

IN_FLIGHT = 3


class Sink:
    """Numbers as readings."""

    def __init__(self, store: ReadingsStore) -> None:
        self._store = store

    def accept(self, messages: Sequence[DeviceMessages]) -> None:
        decoded = [
            [Measured((Quantity("power_w", int(payload), 0, "W"),)) for payload in one.payloads]
            for one in messages
        ]
        self._store.take(messages, decoded)


class WakingScript(Script):
    """A connection that wakes its client."""

    def __init__(self, core: object, wake: asyncio.Event) -> None:
        super().__init__(core)  # type: ignore[arg-type]
        self._wake = wake

    def send(self, data: bytes) -> None:
        super().send(data)
        self._wake.set()


class Loud(Peer):
    """A client that says what it learns before it acts on it."""

    def learn(self, name: str, say: Callable[[str], None]) -> None:
        for packet in split(b"".join(self.script.take())):
            if not self.is_welcome:
                self.is_welcome = True
                self.to_broker += self.client.connected()
                continue
            say(f"{name} {packet.hex()}")
            self.to_broker += self.client.take(packet)
        while self.to_broker:
            self.deliver()


async def exchange(
    folder: Path, clients: tuple[Device, Reader], messages: int, say: Callable[[str], None]
) -> None:
    """Serve both clients until the device has published so many messages and all came to rest."""
    device, reader = clients
    store = ReadingsStore.open(folder / "readings.db", ManualClock(), NODE_ID)
    store.register_device(METER.name, PROFILE)
    journal = SqliteJournal(folder / "sessions.db")
    core = make_core(sink=Sink(store), journal=journal, exchanges=store.exchanges)
    core.restore(journal.load())
    wake = asyncio.Event()
    listener, sender = Loud(reader), Loud(device)
    for peer in (listener, sender):
        peer.connect_by(WakingScript(core, wake))
    while device.published < messages or not device.is_idle or is_owed(device, reader):
        await wake.wait()
        wake.clear()
        listener.learn("reader", say)
        sender.learn("device", say)
        while sender.is_welcome and device.published < messages and is_open(device, reader):
            say("publish")
            sender.to_broker.append(device.publish())
            sender.deliver()
    journal.close()
    store.close()


def is_open(device: Device, reader: Reader) -> bool:
    return reader.is_subscribed and len(device.window) + len(device.released) < IN_FLIGHT


def is_owed(device: Device, reader: Reader) -> bool:
    return len(reader.received) < device.published


if __name__ == "__main__":
    clients, loud = (Device(), Reader()), partial(print, flush=True)
    asyncio.run(exchange(Path(sys.argv[1]), clients, int(sys.argv[2]), loud))
