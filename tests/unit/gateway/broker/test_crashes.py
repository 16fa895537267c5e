"""A broker that is killed at random moments, with clients that keep their word, by seed.

A crash loses what the journal had not committed and every byte that was under way. A publisher and a
subscriber with sessions that are kept reconnect and go on as the standard says. Whatever the seed:
what was acknowledged arrives, a QoS 2 message exactly once, each QoS in the order of publishing.
"""

import random
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from gateway.broker import changes
from gateway.broker.changes import Change, SessionKey, StoredSession, StoredState
from gateway.broker.codec import wire
from gateway.broker.core import BrokerCore
from gateway.broker.durable.database import open_database
from gateway.broker.durable.loading import load
from gateway.broker.durable.schema import raw_connection
from gateway.broker.ports import SessionJournal
from tests.support.broker_script import (
    READER,
    Clock,
    Journal,
    Script,
    make_core,
    publish,
    subscribe,
)
from tests.support.mqtt import encode_ack
from tests.support.pending_journal import PendingJournal

SEEDS = range(40)
MESSAGES = 30
STEPS_MAX = 3_000


def connect(client_id: str) -> bytes:
    return b"\x10\x0d\0\4MQTT\4\0\0\0\0\1" + client_id.encode()


class Disk:
    """What survives: changes folded into the state that a broker loads."""

    def __init__(self) -> None:
        self.sessions: dict[SessionKey, dict[str, Any]] = {}

    def write(self, change: Change) -> None:
        match change:
            case changes.SessionKept():
                new: dict[str, Any] = {
                    "subscriptions": {},
                    "deliveries": {},
                    "received": set(),
                    "ids": {},
                }
                session = self.sessions.setdefault(change.key, new)
                session |= {"expiry_s": change.expiry_s, "left": None, "sent": 0}
            case changes.SessionEnded():
                del self.sessions[change.key]
            case changes.SessionLeft():
                left = {"left": change.left_at_ms, "sent": change.sent_number}
                self.sessions[change.key] |= left
            case changes.RetainedPut() | changes.RetainedRemoved():
                pass
            case _:
                self._write_part(self.sessions[change.key], change)

    def _write_part(self, session: dict[str, Any], change: Change) -> None:
        match change:
            case changes.Subscribed():
                session["subscriptions"][change.topic_filter] = change.subscription
            case changes.MessageQueued():
                session["deliveries"][change.delivery.number] = change.delivery
            case changes.DeliveryReceived():
                assert change.number in session["deliveries"]
                session["received"].add(change.number)
            case changes.DeliveryDone():
                del session["deliveries"][change.number]
                session["received"].discard(change.number)
            case changes.PacketIdReceived():
                assert change.packet_id not in session["ids"], "received twice"
                session["ids"][change.packet_id] = None
            case changes.PacketIdReleased():
                del session["ids"][change.packet_id]
            case _:
                raise AssertionError(change)

    def load(self) -> StoredState:
        return StoredState(
            tuple(
                StoredSession(
                    key,
                    READER,
                    session["expiry_s"],
                    session["left"],
                    session["sent"],
                    dict(session["subscriptions"]),
                    tuple(session["deliveries"].values()),
                    frozenset(session["received"]),
                    tuple(session["ids"]),
                )
                for key, session in self.sessions.items()
            )
        )


class Publisher:
    """Publishes numbers, each until it is acknowledged; one packet id for each."""

    def __init__(self, qos: int) -> None:
        self.qos = qos
        self.window: dict[int, int] = {}  # packet id -> number
        self.released: dict[int, None] = {}
        self.next_number = 0
        self.acknowledged: set[int] = set()

    def packets_on_reconnect(self) -> list[bytes]:
        again = [self._packet(number, packet_id) for packet_id, number in self.window.items()]
        return again + [encode_ack(wire.PUBREL, packet_id) for packet_id in self.released]

    def publish(self) -> bytes:
        used = {*self.window, *self.released}
        packet_id = next(one for one in range(1, 9) if one not in used)  # reused soon
        self.window[packet_id] = self.next_number
        self.next_number += 1
        return self._packet(self.window[packet_id], packet_id)

    def can_publish(self) -> bool:
        return self.next_number < MESSAGES and len(self.window) + len(self.released) < 4

    def take(self, packet: bytes) -> list[bytes]:
        packet_id = int.from_bytes(packet[2:4], "big")
        if packet[0] >> 4 == wire.PUBACK:
            self.acknowledged.add(self.window.pop(packet_id))
        elif packet[0] >> 4 == wire.PUBREC:
            if packet_id in self.window:
                self.acknowledged.add(self.window.pop(packet_id))
            self.released[packet_id] = None
            return [encode_ack(wire.PUBREL, packet_id)]
        elif packet[0] >> 4 == wire.PUBCOMP:
            self.released.pop(packet_id, None)
        return []

    def is_done(self) -> bool:
        return self.next_number == MESSAGES and not self.window and not self.released

    def _packet(self, number: int, packet_id: int) -> bytes:
        return publish(f"q{self.qos}", str(number), self.qos, packet_id)


class Subscriber:
    """Acknowledges what comes; keeps the packet ids of QoS 2 messages until PUBREL."""

    def __init__(self) -> None:
        self.received: dict[str, list[int]] = {"q1": [], "q2": []}
        self.ids: set[int] = set()

    def take(self, packet: bytes) -> list[bytes]:
        kind, qos = packet[0] >> 4, packet[0] >> 1 & 3
        if kind == wire.PUBREL:
            packet_id = int.from_bytes(packet[2:4], "big")
            self.ids.discard(packet_id)
            return [encode_ack(wire.PUBCOMP, packet_id)]
        if kind != wire.PUBLISH:
            return []
        topic, packet_id = packet[4:6].decode(), int.from_bytes(packet[6:8], "big")
        number = int(packet[8:])
        if qos == 1:
            self.received[topic].append(number)
            return [encode_ack(wire.PUBACK, packet_id)]
        if packet_id not in self.ids:
            self.ids.add(packet_id)
            self.received[topic].append(number)
        return [encode_ack(wire.PUBREC, packet_id)]


class Peer:
    """A client's end of a connection: bytes under way in both directions."""

    def __init__(self, client: Publisher | Subscriber, client_id: str) -> None:
        self.client = client
        self.client_id = client_id
        self.script: Script | None = None
        self.to_broker: list[bytes] = []

    def reconnect(self, core: BrokerCore) -> None:
        self.script = Script(core).connect(READER, connect(self.client_id))
        again = self.client.packets_on_reconnect() if isinstance(self.client, Publisher) else []
        self.to_broker = again if isinstance(self.client, Publisher) else [subscribe("#", 2)]

    def collect(self) -> None:
        """Let what the broker sent arrive, and answer."""
        assert self.script is not None
        while self.script.sent:
            self.to_broker += self.client.take(self.script.sent.pop(0))


class Simulation:
    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.disk = Disk()
        self.turns: list[int] = []  # how many changes there were after each turn
        self.subscriber = Subscriber()
        self.publishers = [Publisher(1), Publisher(2)]
        first, second = self.publishers
        self.peers = [Peer(self.subscriber, "s"), Peer(first, "r"), Peer(second, "t")]
        self.boot()
        self.drain(1)  # the subscription is there before the first message

    def boot(self) -> None:
        self.turns.clear()
        journal = self.open_journal()
        self.core = make_core(clock=Clock(), journal=journal)
        self.core.restore(journal.load())
        for peer in self.peers:
            peer.reconnect(self.core)

    def open_journal(self) -> SessionJournal:
        self.journal = Journal(self.disk.load())
        return self.journal

    def commit(self) -> None:
        """Write all changes and answer who waited for them."""
        self.write(len(self.journal.changes))
        self.journal.changes.clear()
        self.turns.clear()
        self.journal.flush()

    def step(self) -> None:
        peer = self.chance.choice(self.peers)
        action = self.chance.random()
        assert peer.script is not None
        if action < 0.03:
            self.lose()
            self.boot()
        elif action < 0.05:
            peer.script.close("lost")
            peer.reconnect(self.core)
        elif action < 0.12:
            self.commit()
        elif action < 0.4:
            peer.collect()
        elif action < 0.8 and peer.to_broker:
            peer.script.link.receive(peer.to_broker.pop(0))
        elif isinstance(peer.client, Publisher) and peer.client.can_publish():
            peer.to_broker.append(peer.client.publish())
        self.end_turn()

    def lose(self) -> None:
        """Be killed, perhaps after a commit of which nobody was told: of whole turns."""
        self.write(self.chance.choice([0, *self.turns]))

    def end_turn(self) -> None:
        self.turns.append(len(self.journal.changes))

    def write(self, count: int) -> None:
        for change in self.journal.changes[:count]:
            self.disk.write(change)

    def is_done(self) -> bool:
        return all(publisher.is_done() for publisher in self.publishers)

    def drain(self, rounds: int) -> None:
        for _ in range(rounds):
            for peer in self.peers:
                peer.collect()
                while peer.to_broker:
                    assert peer.script is not None
                    peer.script.link.receive(peer.to_broker.pop(0))
            self.commit()


class DatabaseSimulation(Simulation):
    """The same broker over the journal's own database and its joining of changes."""

    def __init__(self, seed: int, connection: sqlite3.Connection) -> None:
        self.connection = connection
        super().__init__(seed)

    def open_journal(self) -> SessionJournal:
        self.pending_journal = PendingJournal(self.connection)
        return self.pending_journal

    def commit(self) -> None:
        self.pending_journal.flush()

    def lose(self) -> None:
        if self.chance.random() < 0.5:
            self.pending_journal.write()

    def end_turn(self) -> None:
        self.pending_journal.settle()


def run(simulation: Simulation) -> None:
    for _ in range(STEPS_MAX):
        simulation.step()
        if simulation.is_done():
            break
    simulation.drain(4 * MESSAGES)
    received = simulation.subscriber.received
    assert simulation.is_done()
    assert received["q2"] == list(range(MESSAGES))
    assert list(dict.fromkeys(received["q1"])) == list(range(MESSAGES))


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_acknowledged_is_lost_and_qos_2_comes_once(seed):
    simulation = Simulation(seed)

    run(simulation)

    assert not simulation.disk.sessions[("reader", "s")]["deliveries"]
    assert not simulation.disk.sessions[("reader", "t")]["ids"]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_database_keeps_the_same_promises(seed, tmp_path):
    with closing(open_database(tmp_path / "sessions.db")) as database:
        connection = raw_connection(database)
        connection.execute("PRAGMA synchronous=OFF")  # only the process is killed
        run(DatabaseSimulation(seed, connection))

        left = load(connection).state.sessions
    assert all(not session.deliveries and not session.received_packet_ids for session in left)
