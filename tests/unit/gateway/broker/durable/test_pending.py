"""Whatever happens, in whatever order it is written: what is read back is what was recorded last."""

import contextlib
import random
import sqlite3
from typing import Any

import msgspec
import pytest

from gateway.broker.changes import (
    Delivery,
    DeliveryDone,
    DeliveryReceived,
    MessageQueued,
    PacketIdReceived,
    PacketIdReleased,
    RetainedPut,
    RetainedRemoved,
    SessionEnded,
    SessionKept,
    SessionKey,
    SessionLeft,
    Subscribed,
    Unsubscribed,
)
from gateway.broker.durable.index import MessageRows
from gateway.broker.durable.loading import load
from gateway.broker.durable.pending import PendingChanges
from gateway.broker.durable.schema import create_tables, make_database, raw_connection
from gateway.broker.message import Message, Subscription
from gateway.model.principal import Principal, PrincipalKind

ANN = Principal("ann", PrincipalKind.USER, ("#",), ("#", "$SYS/#"), ("up",))
KEY = ("ann", "c1")
HELLO = Message("t", b"hello", 1, is_retained=False, properties=b"\x01\x01", expires_at_ms=7)


@pytest.fixture
def connection():
    with contextlib.closing(make_database(":memory:")) as database:
        database.connect()
        create_tables(database)
        yield raw_connection(database)


def fresh() -> PendingChanges:
    return PendingChanges({}, MessageRows())


def write(pending: PendingChanges, connection: sqlite3.Connection, *, times: int = 1) -> None:
    batch = pending.take(with_unpromised=True)
    for _ in range(times):
        connection.execute("BEGIN")
        batch.execute(connection)
        connection.execute("COMMIT")


def queued(number: int, message: Message = HELLO, key=KEY, qos: int = 1) -> MessageQueued:
    return MessageQueued(key, Delivery(number, number, message, qos, is_retained=False))


def count(connection: sqlite3.Connection, table: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_a_delivery_that_is_done_before_its_commit_is_never_written(connection):
    pending = fresh()
    pending.add(SessionKept(KEY, ANN, 60))
    write(pending, connection)
    promised = pending.last + 1
    pending.add(queued(1))
    assert pending.first == promised
    pending.add(DeliveryDone(KEY, 1))

    assert pending.first is None


def test_a_thing_that_changes_again_keeps_its_place_so_that_no_promise_is_kept_early():
    pending = fresh()
    pending.add(SessionKept(KEY, ANN, 60))
    pending.add(queued(1, qos=2))
    pending.add(SessionKept(("ann", "c2"), ANN, 60))
    pending.add(DeliveryReceived(KEY, 1))
    pending.add(SessionEnded(("ann", "c2")))

    assert pending.first == 1


def test_a_message_of_many_sessions_is_stored_once_and_goes_with_the_last(connection):
    pending = fresh()
    keys = [("ann", f"c{number}") for number in range(3)]
    for key in keys:
        pending.add(SessionKept(key, ANN, 60))
        pending.add(queued(1, key=key))
    write(pending, connection)
    assert (count(connection, "message"), count(connection, "delivery")) == (1, 3)

    pending.add(DeliveryDone(keys[0], 1))
    pending.add(SessionEnded(keys[1]))
    write(pending, connection)
    assert (count(connection, "message"), count(connection, "delivery")) == (1, 1)

    pending.add(DeliveryReceived(keys[2], 1))
    write(pending, connection)
    assert (count(connection, "message"), count(connection, "delivery")) == (0, 1)


def test_retained_values_that_nobody_was_promised_wait_apart_one_a_topic():
    pending = fresh()
    for payload in (b"1", b"2"):
        pending.add(RetainedPut(Message("own", payload, 1, is_retained=True), None))
        pending.add(RetainedPut(Message("zero", payload, 0, is_retained=True), "ann"))
    assert pending.first is None
    assert pending.has_unpromised

    pending.add(RetainedPut(Message("zero", b"3", 1, is_retained=True), "ann"))
    assert pending.first is not None


class Model:
    """What must be on disk, kept the simplest way; it makes up valid changes."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.sessions: dict[SessionKey, dict[str, Any]] = {}
        self.retained: dict[str, tuple[Message, str | None]] = {}
        self.messages = [
            Message(f"t/{n}", bytes([n]) * n, n % 3, is_retained=False) for n in range(8)
        ]
        self.number = 0

    def next_change(self):
        key = ("ann", f"c{self.random.randrange(3)}")
        session = self.sessions.get(key)
        if session is None or self.random.random() < 0.03:
            return self._session(key, session)
        kind = self.random.randrange(9)
        if kind <= 2:
            self.number += 1
            message = self.random.choice(self.messages)
            delivery = Delivery(self.number, self.number % 9, message, 2, False, (1, 2))
            session["deliveries"][self.number] = delivery
            return MessageQueued(key, delivery)
        if kind <= 4 and session["deliveries"]:
            number = self.random.choice(list(session["deliveries"]))
            if self.random.random() < 0.3 and number not in session["emptied"]:
                session["emptied"].add(number)
                return DeliveryReceived(key, number)
            session["emptied"].discard(number)
            del session["deliveries"][number]
            return DeliveryDone(key, number)
        if kind == 5:
            packet_id = self.random.randrange(1, 5)
            if packet_id in session["packet_ids"]:
                session["packet_ids"].discard(packet_id)
                return PacketIdReleased(key, packet_id)
            session["packet_ids"].add(packet_id)
            return PacketIdReceived(key, packet_id)
        if kind == 6:
            topic_filter = f"f/{self.random.randrange(3)}"
            if self.random.random() < 0.4:
                session["subscriptions"].pop(topic_filter, None)
                return Unsubscribed(key, topic_filter)
            options = Subscription(self.random.randrange(3), identifier=self.random.randrange(9))
            session["subscriptions"][topic_filter] = options
            return Subscribed(key, topic_filter, options)
        return self._retained()

    def _session(self, key, session):
        if session is not None and self.random.random() < 0.5:
            del self.sessions[key]
            return SessionEnded(key)
        if session is not None and self.random.random() < 0.5:
            session["row"] = (60, 1234, self.number)
            return SessionLeft(key, 1234, 60, self.number)
        if session is None:
            empty: dict[str, Any] = {
                "deliveries": {},
                "emptied": set(),
                "packet_ids": set(),
                "subscriptions": {},
            }
            session = self.sessions[key] = empty | {"row": (0, None, 0)}
        session["row"] = (self.random.randrange(1, 99), None, session["row"][2])
        return SessionKept(key, ANN, session["row"][0])

    def _retained(self):
        topic = f"r/{self.random.randrange(4)}"
        if self.random.random() < 0.3:
            self.retained.pop(topic, None)
            return RetainedRemoved(topic)
        payload = bytes([self.random.randrange(9)])
        message = Message(topic, payload, self.random.randrange(3), is_retained=True)
        owner = self.random.choice([None, "ann"])
        self.retained[topic] = (message, owner)
        return RetainedPut(message, owner)

    def expected(self):
        return (
            {
                key: (
                    one["row"],
                    one["subscriptions"],
                    [
                        (d.number, d.packet_id, n in one["emptied"] or d.message)
                        for n, d in sorted(one["deliveries"].items())
                    ],
                    one["packet_ids"],
                )
                for key, one in self.sessions.items()
            },
            self.retained,
        )


def read_back(connection: sqlite3.Connection):
    state = load(connection).state
    return (
        {
            one.key: (
                (one.expiry_s, one.left_at_ms, one.sent_number),
                one.subscriptions,
                [
                    (d.number, d.packet_id, d.number in one.received_numbers or d.message)
                    for d in one.deliveries
                ],
                set(one.received_packet_ids),
            )
            for one in state.sessions
        },
        {message.topic: (message, owner) for message, owner in state.retained},
    )


@pytest.mark.parametrize("seed", range(60))
def test_what_is_read_back_is_what_was_recorded_last(seed: int, connection):
    """Batches end at random places, are written twice, and now and then the process starts anew."""
    model, pending = Model(seed), fresh()
    for _ in range(400):
        pending.add(model.next_change())
        chance = model.random.random()
        if chance < 0.1:
            write(pending, connection, times=1 + (chance < 0.02))
            assert read_back(connection) == model.expected()
            assert not load(connection).orphans
        if chance < 0.01:
            loaded = load(connection)
            pending = PendingChanges(loaded.sessions, loaded.messages)
            model.messages = [msgspec.structs.replace(message) for message in model.messages]
    for key in list(model.sessions):
        pending.add(SessionEnded(key))
    write(pending, connection)
    assert all(count(connection, table) == 0 for table in ("session", "delivery", "message"))
