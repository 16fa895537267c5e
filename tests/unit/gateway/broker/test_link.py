"""One connection's protocol as a script: bytes in, bytes and steps out; the core is the real one."""

from dataclasses import replace

import pytest

from gateway.broker.codec import wire as packets
from gateway.broker.codec.reasons import Reason
from gateway.broker.message import Message
from gateway.model.observation import DeviceMessage
from tests.support.broker_script import (
    ACCEPTED,
    CONNECT,
    LIMITS,
    METER,
    NO_DISK,
    POISON,
    READER,
    Reporter,
    Script,
    Sink,
    make_core,
    puback,
    publish,
    subscribe,
)
from tests.support.mqtt import encode_ack


def test_nothing_is_looked_at_until_the_principal_is_known():
    script = Script()

    script.link.receive(CONNECT + publish("up/1", "a", 1, 1))
    assert script.asked is not None
    assert script.is_held
    assert script.take() == []
    assert script.sink.held == []

    script.link.admit(METER)
    assert script.take() == [ACCEPTED]
    assert script.sink.held[0][0] == DeviceMessage("meter", "up/1", b"a")


def test_a_refused_client_leaves_the_session_of_its_name_alone():
    victim = Script()
    victim.connect(METER)
    attacker = Script(victim.core)

    attacker.link.receive(CONNECT)
    attacker.link.refuse(Reason.NOT_AUTHORIZED)

    assert attacker.take() == [b"\x20\2\0\5"]
    assert attacker.closed_for is not None
    assert victim.closed_for is None


def test_bytes_may_come_one_at_a_time():
    script = Script()
    for byte in CONNECT:
        script.link.receive(bytes((byte,)))
    script.link.admit(METER)
    for byte in publish("up/1", "a" * 300, 1, 7):
        script.link.receive(bytes((byte,)))

    assert script.sink.held[0][0].payload == b"a" * 300


@pytest.mark.parametrize(
    "first_bytes",
    [b"\xc0\0", publish("up", "a"), b"\x11", b"\x10\xff\xff\x7f", b"GET / HTTP/1.1\r\n", b"\0"],
    ids=["PINGREQ", "PUBLISH", "flags", "too large", "HTTP", "zero"],
)
def test_anything_but_a_short_connect_closes_a_new_connection(first_bytes):
    script = Script()

    script.link.receive(first_bytes)

    assert script.closed_for is not None
    assert script.take() == []


@pytest.mark.parametrize(
    "packet",
    [
        CONNECT,
        b"\x20\2\0\0",  # CONNACK is for clients
        b"\x00\0",
        b"\xf0\0",
        b"\x36\5\0\1aXX",  # QoS 3
        b"\x38\4\0\1ab",  # DUP at QoS 0
        b"\x32\5\0\1a\0\0",  # packet id 0
        b"\x32\3\0\1a",  # no packet id
        b"\x30\1\0",
        b"\x30\3\0\5a",
        b"\x30\2\0\0",  # empty topic
        b"\x30\5\0\3a/#",
        b"\x30\4\0\2\xff\xfe",
        b"\x30\3\0\1\0",
        b"\x80\6\0\1\0\1a\0",  # SUBSCRIBE's flags
        b"\x60\2\0\1",  # PUBREL's flags
        b"\x41\2\0\1",
        b"\x40\1\0",
        b"\xc0\1x",
        b"\xe0\1x",
        b"\x30\xff\xff\xff\xff\x01",
    ],
)
def test_a_malformed_packet_closes_its_own_connection_only(packet):
    other = Script()
    other.connect(READER)
    script = Script(other.core)
    script.connect(METER)

    script.link.receive(packet)

    assert script.closed_for is not None
    assert other.closed_for is None


def test_a_reading_is_acknowledged_only_when_it_is_on_disk():
    script = Script().connect(METER)

    script.link.receive(publish("up/1", "a", 1, 1))
    assert script.take() == []

    script.sink.finish()
    assert script.take() == [puback(1)]


def test_readings_of_any_length_topic_and_qos_in_a_row_are_told_apart():
    script = Script(make_core(replace(LIMITS, pending_messages_max=100))).connect(METER)
    rows = [
        ("up/1", "a" * 50, 1),
        ("up/1", "b" * 50, 1),
        ("up/1", "c", 1),
        ("up/1", "d" * 200, 1),
        ("up/1", "e" * 200, 1),
        ("up/2", "f" * 200, 1),
        ("up/1", "", 1),
        ("up/1", "h" * 200, 0),
        ("up/1", "i" * 200, 2),
        ("up/1", "j" * 20_000, 1),
        ("up/1", "k" * 20_000, 1),
    ]
    sink = script.core.sink
    assert isinstance(sink, Sink)

    for number, (topic, text, qos) in enumerate(rows, 1):
        script.link.receive(publish(topic, text, qos, number))

    assert [(m.topic, m.payload.decode()) for m, _ in sink.held] == [row[:2] for row in rows]
    for _ in rows:
        sink.finish()
    expected = b"".join(
        encode_ack(packets.PUBACK if qos == 1 else packets.PUBREC, number)
        for number, (_, _, qos) in enumerate(rows, 1)
        if qos
    )
    assert b"".join(script.take()) == expected


def test_readings_like_the_last_may_be_cut_at_any_byte():
    head, row = (
        b"".join(publish("up/1", f"{n}", 1, n) for n in numbers) for numbers in ((1,), (2, 3, 4))
    )
    for cut in range(len(row) + 1):
        script = Script(make_core(replace(LIMITS, pending_messages_max=100))).connect(METER)
        sink = script.core.sink
        assert isinstance(sink, Sink)

        for chunk in (head, row[:cut], row[cut:], publish("up/1", "5", 1, 5)):
            script.link.receive(chunk)

        assert [message.payload for message, _ in sink.held] == [b"%d" % n for n in range(1, 6)]


def test_reading_stops_also_where_a_chunk_ends_with_the_last_reading_allowed():
    script = Script().connect(METER)
    script.link.receive(publish("up/1", "1", 1, 1))

    script.link.receive(b"".join(publish("up/1", f"{n}", 1, n) for n in range(2, 5)))

    assert len(script.sink.held) == 4
    assert script.is_held


@pytest.mark.parametrize("text", ["x", "longer"])
def test_packet_id_0_is_malformed_also_after_a_reading_like_it(text):
    script = Script().connect(METER)
    script.link.receive(publish("up/1", "x", 1, 1))

    script.link.receive(publish("up/1", text, 1, 0))

    assert script.is_closed()
    assert len(script.sink.held) == 1


def test_a_length_written_longer_than_needed_is_understood():
    script = Script().connect(METER)
    plain = publish("up/1", "x", 1, 1)
    padded = plain[:1] + bytes((plain[1] | 0x80, 0)) + plain[2:]

    script.link.receive(padded * 3 + plain)

    assert [message.payload for message, _ in script.sink.held] == [b"x"] * 4


def test_acknowledgements_leave_in_the_order_of_arrival():
    script = Script().connect(METER)

    script.link.receive(publish("up/1", "a", 1, 1) + publish("cmd", "x", 1, 2))
    script.link.receive(publish("up/1", "b", 1, 3))
    assert script.take() == []

    script.sink.finish()
    assert script.take() == [puback(1) + puback(2)]
    script.sink.finish()
    assert script.take() == [puback(3)]


def test_a_poison_reading_is_acknowledged_counted_and_reported():
    script = Script().connect(METER)

    script.link.receive(publish("up/1", "?", 1, 1))
    script.sink.finish(refusal=POISON)

    assert script.take() == [puback(1)]
    assert script.core.tally.rejected == 1
    assert script.reporter.reports == ["meter up/1 malformed"]


def test_a_reading_that_the_store_lost_is_not_acknowledged():
    script = Script().connect(METER)

    script.link.receive(publish("up/1", "a", 1, 1) + publish("up/1", "b", 1, 2))
    script.sink.finish(refusal=NO_DISK)
    script.sink.finish()

    assert script.take() == []
    assert script.closed_for is not None


def test_a_qos_2_reading_is_stored_once_and_received_only_when_stored():
    script = Script().connect(METER)
    packet = publish("up/1", "a", 2, 5)

    script.link.receive(packet + packet)
    assert len(script.sink.held) == 1
    assert script.take() == []

    script.sink.finish()
    assert script.take() == [encode_ack(packets.PUBREC, 5)]
    script.link.receive(packet)
    assert script.sink.held == []
    assert script.take() == [encode_ack(packets.PUBREC, 5)]

    script.link.receive(encode_ack(packets.PUBREL, 5))
    assert script.take() == [encode_ack(packets.PUBCOMP, 5)]
    script.link.receive(packet)
    assert len(script.sink.held) == 1


def test_a_qos_2_reading_stored_after_a_reconnect_is_acknowledged_there():
    kept = CONNECT.replace(b"\4\2", b"\4\0", 1)
    first = Script().connect(METER, kept)
    first.link.receive(publish("up/1", "a", 2, 5))
    first.close("cable pulled")
    second = Script(first.core)
    second.link.receive(kept)
    second.link.admit(METER)
    assert second.take() == [b"\x20\2\1\0"]

    second.link.receive(publish("up/1", "a", 2, 5))
    assert len(first.sink.held) == 1
    first.sink.finish()

    assert second.take() == [encode_ack(packets.PUBREC, 5)]


def test_reading_stops_while_the_sink_owes_too_much():
    script = Script().connect(METER)

    script.link.receive(b"".join(publish("up/1", str(n), 1, n) for n in range(1, 9)))
    assert len(script.sink.held) == 4
    assert script.is_held

    script.sink.finish()
    assert len(script.sink.held) == 3
    script.sink.finish()
    assert len(script.sink.held) == 4  # half was done: it went on, up to the limit again
    while script.sink.held:
        script.sink.finish()
    assert script.take() == [puback(n) for n in range(1, 9)]
    assert not script.is_held


def test_bytes_held_back_after_a_long_packet_in_pieces_are_not_forgotten():
    script = Script().connect(METER)
    long = publish("up/1", "x" * 500, 1, 1)

    script.link.receive(long[:100])
    script.link.receive(long[100:] + b"".join(publish("up/1", "", 1, n) for n in range(2, 8)))
    while script.sink.held:
        script.sink.finish()

    assert script.take() == [puback(n) for n in range(1, 8)]


def test_what_came_before_the_end_of_the_connection_is_kept():
    script = Script().connect(METER)
    script.link.receive(b"".join(publish("up/1", str(n)) for n in range(8)) + b"\x30")
    assert len(script.sink.held) == 4

    script.link.finish()

    assert [message.payload for message, _ in script.sink.held] == [b"%d" % n for n in range(8)]


def test_a_reading_that_was_cut_off_is_none_however_far_behind_its_connection_is():
    script = Script().connect(METER)
    packets = [publish("up/1", f"{n}", 1, n) for n in range(1, 9)]
    script.link.receive(b"".join(packets) + packets[0][:-1])
    assert len(script.sink.held) == 4

    script.link.finish()

    assert [message.payload for message, _ in script.sink.held] == [b"%d" % n for n in range(1, 9)]


def test_a_forbidden_publish_is_acknowledged_and_dropped():
    script = Script().connect(METER)
    reader = Script(script.core).connect(READER)
    reader.link.receive(subscribe("#", 0))
    reader.take()

    script.link.receive(publish("other", "x", 1, 1) + publish("$SYS/x", "x", 1, 2))

    assert script.take() == [puback(1), puback(2)]
    assert reader.take() == []
    assert script.core.tally.denied == 2
    assert script.reporter.reports == ["meter publish to other"]


def test_a_subscription_beyond_the_rights_is_refused():
    script = Script().connect(METER)

    script.link.receive(subscribe("#", 0))
    script.link.receive(subscribe("down/+", 1))

    assert script.take() == [b"\x90\3\0\1\x80", b"\x90\3\0\1\1"]


def test_the_number_of_subscriptions_is_limited():
    script = Script().connect(READER)
    for number in range(LIMITS.subscriptions_per_service_max):
        script.link.receive(subscribe(f"t/{number}", 0))
    script.take()

    script.link.receive(subscribe("t/one-more", 0))
    script.link.receive(subscribe("t/0", 1))

    assert script.take() == [b"\x90\3\0\1\x80", b"\x90\3\0\1\1"]


def test_suback_comes_before_retained_messages_and_those_have_the_flag():
    script = Script().connect(READER)
    script.core.route(Message("a", b"kept", 1, True), None, None)

    script.link.receive(subscribe("a", 0))
    script.core.route(Message("a", b"live", 1, True), None, None)

    assert script.take() == [
        b"\x90\3\0\1\0",
        publish("a", "kept", retain=True),
        publish("a", "live"),
    ]


def test_a_filter_named_often_in_one_packet_is_answered_each_time_and_replayed_once():
    script = Script().connect(READER)
    script.core.route(Message("a", b"kept", 1, True), None, None)
    body = b"\0\1" + b"\0\1a\0" * 20

    script.link.receive(bytes((0x82, len(body))) + body)

    assert script.take() == [b"\x90\x16\0\1" + bytes(20), publish("a", "kept", retain=True)]


@pytest.mark.parametrize("first", [0x82, 0xA2])
def test_a_packet_with_too_many_filters_closes(first):
    script = Script().connect(READER)
    body = b"\0\1" + (b"\0\1a\0" if first == 0x82 else b"\0\1a") * (
        LIMITS.filters_per_packet_max + 1
    )

    script.link.receive(packets_frame(first, body))

    assert script.closed_for is not None
    assert script.take() == []


def packets_frame(first: int, body: bytes) -> bytes:
    assert 128 <= len(body) < 16_384
    return bytes((first, len(body) & 0x7F | 0x80, len(body) >> 7)) + body


def test_after_a_subscribe_others_have_their_turn():
    class PatientScript(Script):
        def release(self) -> None:
            turns.append(len(self.sent))

    turns: list[int] = []
    script = PatientScript()
    script.link.receive(CONNECT)
    script.link.admit(READER)
    script.link.resume()
    script.take()
    turns.clear()

    script.link.receive(subscribe("a", 0) * 3)
    assert turns == [1]
    script.link.resume()

    assert turns == [1, 2]


KEPT = CONNECT.replace(b"\4\2", b"\4\0", 1)


def test_after_many_packets_or_deliveries_others_have_their_turn():
    class PatientScript(Script):
        def release(self) -> None:
            turns.append(self.core.tally.received)

    turns: list[int] = []
    reader = Script().connect(READER, client(0))
    for number in range(1, 11):
        Script(reader.core).connect(READER, client(number)).link.receive(subscribe("wide", 0))
    writer = PatientScript(reader.core).connect(READER)
    writer.link.resume()
    turns.clear()

    writer.link.receive(publish("narrow", "") * 1_500)
    writer.link.resume()
    assert turns == [1000]
    writer.link.receive(publish("wide", "") * 150)
    writer.link.resume()

    assert turns == [1000, 1_600]
    assert reader.core.tally.received == 1_650


def test_expelled_principals_lose_connection_waiting_session_and_will():
    reader = Script().connect(READER)
    reader.link.receive(subscribe("#", 0))
    live = Script(reader.core).connect(METER, will_connect("cmd"))
    waiting = Script(reader.core).connect(METER, KEPT.replace(b"\1c", b"\1w"))
    waiting.close("cable pulled")
    reader.take()

    now = replace(METER, publish_filters=("up/#",))
    expelled = reader.core.expel(lambda principal: principal not in (now, READER), "changed")

    assert expelled == {METER}
    assert live.closed_for == "changed"
    assert reader.closed_for is None
    assert reader.take() == []
    assert len(reader.core.sessions) == 1


def client(number: int) -> bytes:
    return KEPT.replace(b"\1c", bytes((1, 65 + number)))


def test_one_device_has_few_live_sessions_and_the_oldest_is_closed():
    first = Script().connect(METER, client(0))
    rest = [Script(first.core).connect(METER, client(n)) for n in range(1, 8)]
    assert not first.is_closed()

    rest.append(Script(first.core).connect(METER, client(8)))

    assert first.is_closed()
    assert all(script.closed_for is None for script in rest)
    services = [Script(first.core).connect(READER, client(n)) for n in range(20)]
    assert all(script.closed_for is None for script in services)


def test_the_session_that_holds_most_is_ended_when_all_hold_too_much():
    limits = replace(LIMITS, outbound_bytes_max=3_000)
    core = make_core(limits, Sink(), Reporter())
    small, large = (Script(core).connect(READER, client(n)) for n in range(2))
    small.link.receive(subscribe("a", 1))
    large.link.receive(subscribe("#", 1))

    core.route(Message("b", bytes(1_500), 1, False), None, None)
    core.route(Message("a", bytes(500), 1, False), None, None)
    assert not large.is_closed()
    core.route(Message("b", bytes(400), 1, False), None, None)

    assert large.is_closed()
    assert not small.is_closed()
    assert len(core.sessions) == 1
    assert core.tally.dropped == 3


def will_connect(topic: str) -> bytes:
    raw = topic.encode()
    body = b"\0\4MQTT\4\x06\0\0\0\1c" + len(raw).to_bytes(2, "big") + raw + b"\0\4gone"
    return bytes((0x10, len(body))) + body


def test_a_will_outside_the_rights_is_refused_at_connect():
    script = Script()

    script.link.receive(will_connect("other"))
    script.link.admit(METER)

    assert script.take() == [b"\x20\2\0\5"]
    assert script.closed_for is not None
    assert len(script.core.sessions) == 0


def test_a_will_on_a_reserved_topic_is_dropped_so_that_bridges_can_connect():
    reader = Script().connect(READER)
    reader.link.receive(subscribe("#", 0))
    reader.take()

    bridge = Script(reader.core).connect(METER, will_connect("$SYS/broker/connection/b/state"))
    assert bridge.closed_for is None
    bridge.close("cable pulled")

    assert reader.take() == []


def test_a_will_is_published_unless_the_client_said_goodbye():
    reader = Script().connect(READER)
    reader.link.receive(subscribe("cmd", 0))
    reader.take()

    polite = Script(reader.core).connect(METER, will_connect("cmd"))
    polite.link.receive(b"\xe0\0")
    assert reader.take() == []

    lost = Script(reader.core).connect(METER, will_connect("cmd"))
    lost.close("cable pulled")
    assert reader.take() == [publish("cmd", "gone")]


def test_the_same_client_id_of_the_same_principal_takes_over():
    first = Script().connect(METER)
    second = Script(first.core).connect(METER)

    assert first.closed_for is not None
    assert second.closed_for is None


def test_the_same_client_id_of_another_principal_is_another_session():
    meter = Script().connect(METER)
    reader = Script(meter.core).connect(READER)

    assert meter.closed_for is None
    assert reader.closed_for is None
    assert len(meter.core.sessions) == 2


def test_rights_that_were_withdrawn_end_a_kept_subscription():
    kept = CONNECT.replace(b"\4\2", b"\4\0", 1)
    first = Script().connect(READER, kept)
    first.link.receive(subscribe("a/#", 1))
    first.close("cable pulled")
    first.core.route(Message("a/1", b"x", 1, False), None, None)

    second = Script(first.core)
    second.link.receive(kept)
    second.link.admit(replace(READER, subscribe_filters=("b/#",)))
    second.core.route(Message("a/1", b"y", 1, False), None, None)

    assert second.take() == [b"\x20\2\1\0"]


def test_empty_client_ids_are_for_clean_sessions():
    script = Script()
    script.link.receive(b"\x10\x0c\0\4MQTT\4\0\0\0\0\0")
    assert script.take() == [b"\x20\2\0\2"]

    anonymous = b"\x10\x0c\0\4MQTT\4\2\0\0\0\0"
    first = Script(script.core).connect(METER, anonymous)
    second = Script(script.core).connect(METER, anonymous)
    assert first.closed_for is None
    assert second.closed_for is None


def test_a_version_that_is_not_spoken_is_told_so():
    script = Script()

    script.link.receive(b"\x10\x0e\0\4MQTT\6\2\0\0\0\0\1c")

    assert script.take() == [b"\x20\2\0\1"]
