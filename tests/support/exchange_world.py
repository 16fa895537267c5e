"""A device that publishes readings at QoS 2, a subscriber, and a broker that is killed between any two steps.

The readings store and the journal commit when they are told; at a kill each may just have written what
waited, or have lost it. The clients keep their word, and their memory.
"""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from gateway.broker.changes import SessionKey
from gateway.broker.codec import wire
from gateway.broker.core import BrokerCore
from gateway.errors import Rejected, RejectReason
from gateway.model.principal import Principal
from gateway.ports import DeviceMessages
from tests.support import mqtt5
from tests.support.broker_script import KEPT, METER, READER, Script, make_core, subscribe
from tests.support.mqtt import encode_ack
from tests.support.pending_journal import PendingJournal

OVERLOADED = Rejected(RejectReason.OVERLOADED, "too fast")
LASTING = mqtt5.long(0x11, 600)  # session expiry
DUP = 8


class ReadingsDisk:
    """What of the readings store survives."""

    def __init__(self) -> None:
        self.readings: list[int] = []
        self.noted: dict[SessionKey, set[int]] = defaultdict(set)


@dataclass(eq=False)
class Change:
    """A part of the next commit, and who is told of it."""

    write: Callable[[ReadingsDisk], None]
    tell: Callable[[], None]


class Readings:
    """The sink of telemetry and the broker's `ExchangeStore`."""

    def __init__(self, disk: ReadingsDisk) -> None:
        self.disk = disk
        self.is_overloaded = False
        self.waiting: list[Change] = []

    def load(self, sessions: Collection[SessionKey]) -> dict[SessionKey, frozenset[int]]:
        for gone in self.disk.noted.keys() - set(sessions):
            del self.disk.noted[gone]
        return {session: frozenset(ids) for session, ids in self.disk.noted.items()}

    def accept(self, messages: Sequence[DeviceMessages]) -> None:
        for one in messages:
            for payload in one.payloads:
                self._accept(one, int(payload))

    def _accept(self, one: DeviceMessages, number: int) -> None:
        source = one.source
        if self.is_overloaded:
            self.waiting.append(Change(lambda _: None, partial(source.refused, OVERLOADED)))
            return
        if one.note is not None:
            one.note()
        stored = Change(lambda disk: disk.readings.append(number), partial(source.settled, 1))
        self.waiting.append(stored)

    def note(self, session: SessionKey, packet_id: int) -> None:
        assert packet_id not in self.disk.noted[session], "noted twice"
        noted = Change(lambda disk: disk.noted[session].add(packet_id), lambda: None)
        self.waiting.append(noted)

    def forget(self, session: SessionKey, packet_id: int, done: Callable[[], None]) -> None:
        forgotten = Change(lambda disk: disk.noted[session].discard(packet_id), done)
        self.waiting.append(forgotten)

    def forget_session(self, session: SessionKey, done: Callable[[], None]) -> None:
        self.waiting.append(Change(lambda disk: disk.noted[session].clear(), done))

    def write(self) -> list[Change]:
        """Commit what waits; nobody is told yet."""
        written, self.waiting = self.waiting, []
        for change in written:
            change.write(self.disk)
        return written

    def flush(self) -> None:
        for change in self.write():
            change.tell()


class Client(Protocol):
    @property
    def principal(self) -> Principal: ...
    def connect(self) -> bytes: ...
    def connected(self) -> list[bytes]: ...
    def take(self, packet: bytes) -> list[bytes]: ...


class Device:
    """Publishes numbers; it may lose its memory, and then begins a new session."""

    principal = METER

    def __init__(self) -> None:
        self.published = 0
        self.window: dict[int, int] = {}  # packet id -> number
        self.released: dict[int, None] = {}
        self.acknowledged: set[int] = set()
        self.abandoned: set[int] = set()
        self._begins_anew = False

    @property
    def is_idle(self) -> bool:
        return not self.window and not self.released and not self._begins_anew

    def connect(self) -> bytes:
        return mqtt5.connect("d", LASTING, clean=self._begins_anew)

    def connected(self) -> list[bytes]:
        self._begins_anew = False
        again = [self._packet(packet_id, DUP) for packet_id in self.window]
        return again + [encode_ack(wire.PUBREL, packet_id) for packet_id in self.released]

    def begin_anew(self) -> None:
        self.abandoned.update(self.window.values())
        self.window.clear()
        self.released.clear()
        self._begins_anew = True

    def publish(self) -> bytes:
        used = {*self.window, *self.released}
        packet_id = next(one for one in range(1, 9) if one not in used)  # each is used again soon
        self.published += 1
        self.window[packet_id] = self.published
        return self._packet(packet_id, 0)

    def take(self, packet: bytes) -> list[bytes]:
        kind, packet_id = packet[0] >> 4, int.from_bytes(packet[2:4], "big")
        if kind == wire.PUBCOMP:
            self.released.pop(packet_id, None)
        if kind != wire.PUBREC:
            return []
        if packet_id in self.window:
            self.acknowledged.add(self.window.pop(packet_id))
            self.released[packet_id] = None
        return [encode_ack(wire.PUBREL, packet_id)]

    def _packet(self, packet_id: int, flags: int) -> bytes:
        payload = str(self.window[packet_id]).encode()
        return mqtt5.publish("up/1", payload, qos=2, packet_id=packet_id, flags=flags)


class Reader:
    """A subscriber with a session that lasts: takes a QoS 2 message once for each use of its packet id."""

    principal = READER

    def __init__(self) -> None:
        self.received: Counter[int] = Counter()
        self.is_subscribed = False
        self._held: set[int] = set()

    def connect(self) -> bytes:
        return KEPT

    def connected(self) -> list[bytes]:
        return [subscribe("up/#", 2)]

    def take(self, packet: bytes) -> list[bytes]:
        kind = packet[0] >> 4
        if kind == wire.PUBREL:
            packet_id = int.from_bytes(packet[2:4], "big")
            self._held.discard(packet_id)
            return [encode_ack(wire.PUBCOMP, packet_id)]
        if kind == wire.SUBACK:
            self.is_subscribed = True
        if kind != wire.PUBLISH:
            return []
        start = 4 + len("up/1")
        packet_id = int.from_bytes(packet[start : start + 2], "big")
        if packet_id not in self._held:
            self._held.add(packet_id)
            self.received[int(packet[start + 2 :])] += 1
        return [encode_ack(wire.PUBREC, packet_id)]


class Peer:
    """A client's end of a connection, with what is under way to the broker."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.to_broker: list[bytes] = []
        self.script: Script
        self.is_welcome = False

    def reconnect(self, core: BrokerCore) -> None:
        self.connect_by(Script(core))

    def connect_by(self, script: Script) -> None:
        self.is_welcome = False
        self.to_broker = []
        self.script = script
        self.script.link.receive(self.client.connect())
        self.script.link.admit(self.client.principal)

    def collect(self) -> None:
        """Let what the broker sent arrive, and answer."""
        for packet in split(b"".join(self.script.take())):
            if self.is_welcome:
                self.to_broker += self.client.take(packet)
            else:
                assert packet[0] >> 4 == wire.CONNACK
                self.is_welcome = True
                self.to_broker += self.client.connected()

    def deliver(self) -> None:
        """Let the oldest packet under way reach the broker."""
        if self.to_broker:
            self.script.link.receive(self.to_broker.pop(0))


def split(data: bytes) -> Iterator[bytes]:
    while data:
        size = 2 + data[1]  # all are short
        yield data[:size]
        data = data[size:]


class World:
    """All of them. `connection` is the journal's database."""

    def __init__(self, connection: sqlite3.Connection, *, has_reader: bool) -> None:
        self.disk = ReadingsDisk()
        self.device, self.reader = Device(), Reader()
        self.sender, listener = Peer(self.device), Peer(self.reader)
        self.peers = [listener, self.sender] if has_reader else [self.sender]
        self._connection = connection
        self.boot()
        self.settle()

    def boot(self) -> None:
        self.journal = PendingJournal(self._connection)
        self.readings = Readings(self.disk)
        self.core = make_core(sink=self.readings, journal=self.journal, exchanges=self.readings)
        self.core.restore(self.journal.load())
        for peer in self.peers:
            peer.reconnect(self.core)

    def kill(self, *, readings_survive: bool, journal_survives: bool) -> None:
        """End the process; what waited is on disk or not, and nobody was told."""
        if readings_survive:
            self.readings.write()
        if journal_survives:
            self.journal.write()
        self.boot()

    def settle(self, rounds: int = 12) -> None:
        """Let everything come to rest."""
        for _ in range(rounds):
            for peer in self.peers:
                if peer.script.is_closed():
                    peer.reconnect(self.core)
                peer.collect()
                while peer.to_broker:
                    peer.deliver()
            self.readings.flush()
            self.journal.flush()

    def check(self) -> None:
        """What was not abandoned is stored once and arrived once; the rest at most once."""
        assert self.device.is_idle
        stored = Counter(self.disk.readings)
        everything = range(1, self.device.published + 1)
        due = [number for number in everything if number not in self.device.abandoned]
        assert {number: stored[number] for number in due} == dict.fromkeys(due, 1)
        assert max(stored.values(), default=0) <= 1
        assert self.device.acknowledged <= stored.keys()
        assert not any(self.disk.noted.values()), "a packet id was left behind"
        if len(self.peers) > 1:
            received = self.reader.received
            assert {number: received[number] for number in due} == dict.fromkeys(due, 1)
            assert max(received.values(), default=0) <= 1
