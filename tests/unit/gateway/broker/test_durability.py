"""What waits for the journal and what does not; and what a broker knows again after it was killed."""

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
    SessionLeft,
    StoredSession,
    StoredState,
    Subscribed,
    Unsubscribed,
)
from gateway.broker.codec import wire
from gateway.broker.message import Message, Subscription
from tests.support import mqtt5
from tests.support.broker_script import (
    CONNECT,
    KEPT,
    METER,
    READER,
    Clock,
    Journal,
    Script,
    make_core,
    puback,
    publish,
    subscribe,
)
from tests.support.mqtt import encode_ack, encode_publish

KEY = ("reader", "c")
WRITER = CONNECT.replace(b"\1c", b"\1w")
SUBACK = b"\x90\3\0\1\1"


def start(stored: StoredState | None = None) -> tuple[Script, Journal]:
    """Return a writer's connection, whose session is not kept, and its broker's journal."""
    journal = Journal(stored)
    core = make_core(journal=journal)
    core.restore(journal.load())
    return Script(core).connect(READER, WRITER), journal


def kept(core_of: Script, journal: Journal, qos: int = 1) -> Script:
    """Connect a session that is kept and subscribe it to all."""
    script = Script(core_of.core).connect(READER, KEPT)
    script.link.receive(subscribe("#", qos))
    journal.flush()
    script.take()
    journal.take()
    return script


def test_what_nobody_keeps_records_nothing_and_waits_for_nothing():
    writer, journal = start()
    Script(writer.core).connect(READER).link.receive(subscribe("#", 2))
    journal.flush()

    writer.link.receive(publish("a", "x", 1, 1) + publish("a", "x", 0))

    assert writer.take() == [puback(1)]
    assert journal.changes == []
    assert journal.waiting == []


def test_telemetry_waits_for_its_own_store_only():
    writer, journal = start()
    meter = Script(writer.core).connect(METER, CONNECT)

    meter.link.receive(publish("up/1", "1", 1, 1))
    assert isinstance(writer.core.sink, type(meter.sink))
    writer.core.sink.finish()

    assert meter.take() == [puback(1)]
    assert journal.changes == []
    assert journal.waiting == []


def test_a_message_for_a_kept_session_is_acknowledged_when_it_is_on_disk():
    writer, journal = start()
    reader = kept(writer, journal)

    writer.link.receive(publish("a", "x", 1, 7))
    assert writer.take() == []
    assert reader.take() == [publish("a", "x", 1, 1)]  # it may be sent at once
    message = Message("a", b"x", 1, is_retained=False)
    assert journal.take() == [
        MessageQueued(KEY, Delivery(1, 1, message, 1, is_retained=False)),
    ]

    journal.flush()
    assert writer.take() == [puback(7)]
    reader.link.receive(puback(1))
    assert journal.take() == [DeliveryDone(KEY, 1)]
    assert journal.waiting == []


def test_acknowledgements_keep_their_order_around_one_that_waits():
    writer, journal = start()
    kept(writer, journal)

    writer.link.receive(publish("a", "x", 1, 1))
    writer.link.receive(publish("$SYS/x", "x", 1, 2))
    assert writer.take() == []
    journal.flush()

    assert writer.take() == [puback(1) + puback(2)]


def test_a_reading_for_a_kept_session_must_be_in_the_store_and_in_the_journal():
    writer, journal = start()
    kept(writer, journal)
    meter = Script(writer.core).connect(METER, WRITER)
    sink = writer.core.sink
    assert isinstance(sink, type(meter.sink))

    meter.link.receive(publish("up/1", "1", 1, 1) + publish("up/1", "2", 1, 2))
    sink.finish()
    assert meter.take() == []
    journal.flush()
    assert meter.take() == [puback(1)]
    sink.finish()
    journal.flush()

    assert meter.take() == [puback(2)]


def test_subscriptions_are_promised_when_they_are_on_disk():
    writer, journal = start()
    script = Script(writer.core).connect(READER, KEPT)
    assert journal.take() == [SessionKept(KEY, READER, writer.core.limits.offline_session_expiry_s)]
    writer.core.route(Message("a", b"kept", 0, is_retained=True), None, None)
    journal.take()

    script.link.receive(subscribe("a", 1))
    assert script.take() == []
    assert journal.take() == [Subscribed(KEY, "a", Subscription(1))]
    journal.flush()
    assert script.take() == [SUBACK, publish("a", "kept", retain=True)]

    script.link.receive(b"\xa2\5\0\2\0\1a")
    assert script.take() == []
    assert journal.take() == [Unsubscribed(KEY, "a")]
    journal.flush()
    assert script.take() == [b"\xb0\2\0\2"]


def test_subscriptions_of_a_session_that_is_not_kept_wait_for_nobody():
    writer, journal = start()
    kept(writer, journal).close("lost")
    assert journal.changes, "the end of another one's connection is not on disk yet"

    writer.link.receive(subscribe("a", 1))
    assert writer.take() == [SUBACK]
    writer.link.receive(b"\xa2\5\0\2\0\1a")
    assert writer.take() == [b"\xb0\2\0\2"]


def test_qos_2_to_a_kept_session_goes_out_and_is_released_from_disk_only():
    writer, journal = start()
    reader = kept(writer, journal, qos=2)

    writer.link.receive(publish("a", "x", 2, 7))
    assert reader.take() == []
    journal.flush()
    assert reader.take() == [publish("a", "x", 2, 1)]
    journal.take()

    reader.link.receive(encode_ack(wire.PUBREC, 1))
    assert reader.take() == []
    assert journal.take() == [DeliveryReceived(KEY, 1)]
    reader.link.receive(encode_ack(wire.PUBREC, 1))
    assert reader.take() == []
    journal.flush()
    assert reader.take() == [encode_ack(wire.PUBREL, 1)]
    reader.link.receive(encode_ack(wire.PUBCOMP, 1))
    assert journal.take() == [DeliveryDone(KEY, 1)]


def test_what_comes_behind_an_unwritten_qos_2_message_waits_with_it():
    writer, journal = start()
    reader = kept(writer, journal, qos=2)

    writer.link.receive(publish("a", "1", 2, 7) + publish("a", "2", 1, 8) + publish("a", "3"))
    assert reader.take() == []
    journal.flush()

    assert [packet[-1:] for packet in reader.take()] == [b"1", b"2", b"3"]


def test_qos_2_from_a_kept_session_is_received_and_completed_on_disk():
    writer, journal = start()
    client = Script(writer.core).connect(READER, KEPT)
    journal.flush()
    journal.take()

    client.link.receive(publish("a", "x", 2, 7))
    assert client.take() == []
    assert journal.take() == [PacketIdReceived(KEY, 7)]
    journal.flush()
    assert client.take() == [encode_ack(wire.PUBREC, 7)]

    client.link.receive(encode_ack(wire.PUBREL, 7))
    assert client.take() == []
    assert journal.take() == [PacketIdReleased(KEY, 7)]
    journal.flush()
    assert client.take() == [encode_ack(wire.PUBCOMP, 7)]


def test_a_qos_2_message_that_comes_again_before_it_is_on_disk_waits_too():
    writer, journal = start()
    first = Script(writer.core).connect(READER, KEPT)
    first.link.receive(publish("a", "x", 2, 7))
    first.close("lost")
    again = Script(writer.core).connect(READER, KEPT)

    again.link.receive(publish("a", "x", 2, 7))
    assert again.take() == []
    journal.flush()

    assert set(again.take()) == {encode_ack(wire.PUBREC, 7)}


def test_retained_messages_are_kept_and_promised():
    writer, journal = start()

    writer.link.receive(publish("a", "x", 1, 1, retain=True))
    assert writer.take() == []
    message = Message("a", b"x", 1, is_retained=True)
    assert journal.take() == [RetainedPut(message, "reader")]
    journal.flush()
    assert writer.take() == [puback(1)]

    writer.link.receive(publish("a", "", 1, 1, retain=True))
    assert journal.take() == [RetainedRemoved("a")]


@pytest.mark.parametrize(
    "packets",
    [
        publish("a", "x", 1, 1),
        publish("a", "x", 2, 1),
        publish("up", "x", 1, 1, retain=True),
        subscribe("a", 1),
        b"\xa2\5\0\2\0\1#",
    ],
)
def test_where_the_journal_fails_nothing_is_promised(packets):
    writer, journal = start()
    client = kept(writer, journal)

    client.link.receive(packets)
    journal.flush("the disk is full")

    assert client.is_closed()
    assert all(packet[0] >> 4 == wire.PUBLISH for packet in client.take())


def test_a_session_that_goes_and_comes_is_told_in_order():
    writer, journal = start()
    reader = kept(writer, journal)
    clock = writer.core.clock
    writer.link.receive(publish("a", "x", 1, 7))
    journal.take()

    reader.close("lost")
    expiry_s = writer.core.limits.offline_session_expiry_s
    assert journal.take() == [SessionLeft(KEY, clock.now_ms(), expiry_s, 1)]
    Script(writer.core).connect(READER, KEPT)
    assert journal.take() == [SessionKept(KEY, READER, expiry_s)]
    Script(writer.core).connect(READER, CONNECT)
    assert journal.take() == [SessionLeft(KEY, clock.now_ms(), expiry_s, 1), SessionEnded(KEY)]


def test_a_session_that_is_resumed_for_the_last_time_is_forgotten_on_disk():
    writer, journal = start()
    kept(writer, journal).close("lost")
    journal.take()

    Script(writer.core).connect(READER, mqtt5.connect("c", clean=False))

    assert journal.take()[-1] == SessionEnded(KEY)


def stored(left_at_ms: int | None, sent_number: int) -> StoredState:
    message = Message("a", b"x", 2, is_retained=False)
    return StoredState(
        sessions=(
            StoredSession(
                key=KEY,
                principal=READER,
                expiry_s=600,
                left_at_ms=left_at_ms,
                sent_number=sent_number,
                subscriptions={"a": Subscription(2)},
                deliveries=(
                    Delivery(4, 10, message, 2, is_retained=False),
                    Delivery(5, 11, message, 2, is_retained=False),
                    Delivery(6, 12, message, 1, is_retained=False),
                ),
                received_numbers=frozenset({4}),
                received_packet_ids=(7,),
            ),
        ),
        retained=((Message("r", b"kept", 1, is_retained=True), None),),
    )


@pytest.mark.parametrize(
    ("left_at_ms", "sent_number", "dups"),
    [(Clock().ms, 5, [True, False]), (None, 0, [True, True]), (Clock().ms, 3, [False, False])],
    ids=["sent before", "killed while connected", "never sent"],
)
def test_a_session_is_as_it_was_after_a_restart(left_at_ms, sent_number, dups):
    writer, journal = start(stored(left_at_ms, sent_number))
    reader = Script(writer.core)
    reader.link.receive(KEPT)
    reader.link.admit(READER)
    journal.flush()

    message = Message("a", b"x", 2, is_retained=False)
    assert reader.take() == [
        b"\x20\2\1\0",
        encode_ack(wire.PUBREL, 10),
        encode_publish(message, 2, 11, is_dup=dups[0]),
        encode_publish(message, 1, 12, is_dup=dups[1]),
    ]
    reader.link.receive(publish("b", "again", 2, 7))  # it was received before
    journal.flush()
    assert reader.take() == [encode_ack(wire.PUBREC, 7)]
    writer.link.receive(publish("a", "new", 1, 1))
    journal.flush()
    assert reader.take() == [publish("a", "new", 1, 13)]


def test_retained_messages_are_as_they_were_after_a_restart():
    writer, journal = start(stored(None, 0))

    writer.link.receive(subscribe("r", 0))
    journal.flush()

    assert writer.take() == [b"\x90\3\0\1\0", publish("r", "kept", retain=True)]


def test_a_retained_message_whose_time_ran_out_is_forgotten_on_disk_too():
    late = Message("r", b"x", 1, is_retained=True, expires_at_ms=Clock().ms)
    writer, journal = start(StoredState(retained=((late, None),)))

    assert journal.changes == [RetainedRemoved("r")]
    writer.link.receive(subscribe("r", 0))
    journal.flush()
    assert writer.take() == [b"\x90\3\0\1\0"]


def test_a_client_that_was_connected_when_the_broker_was_killed_has_left_since():
    writer, journal = start(stored(None, 0))
    now_ms = writer.core.clock.now_ms()

    assert journal.changes == [SessionLeft(KEY, now_ms, 600, 6)]
    assert writer.core.sessions.next_expiry_ms() == now_ms + 600_000


def test_a_session_whose_time_ran_out_while_the_broker_was_down_is_gone():
    writer, journal = start(stored(Clock().ms - 600_000, 0))

    assert writer.core.sessions.get(KEY) is None
    assert journal.changes[0] == SessionEnded(KEY)


@pytest.mark.parametrize(
    "packet",
    [subscribe("a", 1), b"\xa2\5\0\2\0\1#", encode_ack(wire.PUBREL, 9)],
    ids=["SUBSCRIBE", "UNSUBSCRIBE", "PUBREL"],
)
def test_while_the_disk_does_not_write_requests_are_not_piled_up(packet):
    writer, journal = start()
    client = kept(writer, journal)

    for _ in range(500):
        client.link.receive(packet)
    assert len(journal.waiting) == 100
    assert client.is_held
    for _ in range(500):
        journal.flush()

    assert len(client.take()) == 500
    assert not client.is_held
