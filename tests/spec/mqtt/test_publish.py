"""PUBLISH and its acknowledgements, in both directions, at each quality of service."""

import pytest

from tests.spec.mqtt import wire
from tests.spec.mqtt.conftest import Desk
from tests.spec.mqtt.peer import Peer
from tests.spec.mqtt.statement import statement
from tests.spec.mqtt.wire import V5, V311, Answer, Kind, Publish

pytestmark = pytest.mark.integration


def reader_of(mqtt: Desk, topic: str, qos: int, *, keep: bool = False) -> Peer:
    peer = mqtt.connect("reader", keep=keep)
    assert peer.subscribe(topic, qos=qos) == (qos,)
    return peer


@statement(v3="3.3.4-1 2.3.1-6 4.3.2-2", v5="3.3.4-1 2.2.1-5 4.3.2-4 3.4.2-1")
def test_qos_1_is_answered_by_puback_with_its_packet_id(mqtt: Desk):
    peer = mqtt.connect()

    peer.send(Publish(mqtt.topic("a"), qos=1, packet_id=4711).encode(mqtt.version))

    assert peer.expect(Kind.PUBACK).packet_id == 4711


@statement(v3="3.3.4-1 2.3.1-6 4.3.3-2", v5="3.3.4-1 2.2.1-5 4.3.3-8 4.3.3-11 3.5.2-1 3.7.2-1")
def test_qos_2_is_answered_by_pubrec_and_pubcomp_with_its_packet_id(mqtt: Desk):
    peer = mqtt.connect()

    peer.send(Publish(mqtt.topic("a"), qos=2, packet_id=65_535).encode(mqtt.version))
    assert peer.expect(Kind.PUBREC).packet_id == 65_535
    peer.send(wire.ack(mqtt.version, Kind.PUBREL, 65_535))

    assert peer.expect(Kind.PUBCOMP).packet_id == 65_535


@statement(v3="3.3.4-1 4.3.1-1 2.3.1-5", v5="3.3.4-1 4.3.1-1 2.2.1-2 3.3.1-2")
def test_qos_0_is_not_answered_and_carries_no_packet_id(mqtt: Desk):
    topic = mqtt.topic("a")
    reader, writer = reader_of(mqtt, topic, 2), mqtt.connect()

    writer.send(Publish(topic, b"\0\1payload").encode(mqtt.version), wire.PINGREQ)

    writer.expect(Kind.PINGRESP)
    message = reader.message()  # the reader checks that DUP is 0
    assert (message.payload, message.qos, message.dup) == (b"\0\1payload", 0, False)


@pytest.mark.parametrize("qos", [1, 2])
@statement(v3="3.3.1-3", v5="3.3.1-3")
def test_dup_is_not_passed_on(mqtt: Desk, qos):
    topic = mqtt.topic("a")
    reader, writer = reader_of(mqtt, topic, qos), mqtt.connect()

    writer.send(Publish(topic, qos=qos, packet_id=9, dup=True).encode(mqtt.version))
    if qos == 2:
        assert writer.expect(Kind.PUBREC).packet_id == 9
        writer.send(wire.ack(mqtt.version, Kind.PUBREL, 9))

    assert not reader.message().dup


@statement(v3="3.3.1-4", v5="3.3.1-4")
def test_qos_3_ends_the_connection(mqtt: Desk):
    peer = mqtt.connect()

    peer.send(Publish(mqtt.topic("a"), qos=3, packet_id=1).encode(mqtt.version))

    mqtt.broken(peer, 0x81)


@pytest.mark.parametrize("qos", [1, 2])
@statement(v3="2.3.1-1", v5="2.2.1-3")
def test_a_packet_id_of_0_ends_the_connection(mqtt: Desk, qos):
    peer = mqtt.connect()

    peer.send(Publish(mqtt.topic("a"), qos=qos, packet_id=0).encode(mqtt.version))

    mqtt.broken(peer, 0x82)


@pytest.mark.parametrize("qos", [1, 2])
@statement(v3="2.3.1-4 4.3.2-1 4.3.3-1", v5="2.2.1-4 4.3.2-1 4.3.2-2 4.3.3-1 4.3.3-2")
def test_each_message_in_flight_has_a_packet_id_of_its_own(mqtt: Desk, qos):
    topic = mqtt.topic("a")
    reader, writer = reader_of(mqtt, topic, qos), mqtt.connect()
    for number in range(10):
        writer.publish(topic, b"%d" % number, qos)

    messages = [reader.unacknowledged() for _ in range(10)]

    assert len({message.packet_id for message in messages} - {0}) == 10
    assert not any(message.dup for message in messages)
    assert [message.payload for message in messages] == [b"%d" % n for n in range(10)]


@statement(v3="4.3.2-2", v5="4.3.2-5")
def test_after_puback_the_same_packet_id_is_a_new_message_even_with_dup(mqtt: Desk):
    topic = mqtt.topic("a")
    reader, writer = reader_of(mqtt, topic, 1), mqtt.connect()

    for payload in (b"1", b"2"):
        writer.send(Publish(topic, payload, 1, 7, dup=payload == b"2").encode(mqtt.version))
        assert writer.expect(Kind.PUBACK).packet_id == 7

    assert reader.payloads() == [b"1", b"2"]


@statement(v3="4.3.3-2", v5="4.3.3-10")
def test_qos_2_sent_again_before_pubrel_is_delivered_once(mqtt: Desk):
    topic = mqtt.topic("a")
    reader, writer = reader_of(mqtt, topic, 2), mqtt.connect()

    for dup in (False, True, True):
        writer.send(Publish(topic, b"once", 2, 7, dup=dup).encode(mqtt.version))
        assert writer.expect(Kind.PUBREC).packet_id == 7
    writer.send(wire.ack(mqtt.version, Kind.PUBREL, 7))
    assert writer.expect(Kind.PUBCOMP).packet_id == 7

    assert reader.payloads() == [b"once"]


@statement(v3="4.3.3-2 4.1.0-1", v5="4.3.3-10 4.3.3-13")
def test_qos_2_sent_again_on_the_next_connection_is_delivered_once(mqtt: Desk):
    topic = mqtt.topic("a")
    reader, writer = reader_of(mqtt, topic, 2), mqtt.connect("writer", keep=True)
    writer.send(Publish(topic, b"once", 2, 7).encode(mqtt.version))
    assert writer.expect(Kind.PUBREC).packet_id == 7
    writer.close()

    writer = mqtt.connect("writer", keep=True)
    writer.send(Publish(topic, b"once", 2, 7, dup=True).encode(mqtt.version))
    assert writer.expect(Kind.PUBREC).packet_id == 7
    writer.send(wire.ack(mqtt.version, Kind.PUBREL, 7))
    assert writer.expect(Kind.PUBCOMP).packet_id == 7

    assert reader.payloads() == [b"once"]


@statement(v3="4.3.3-2")
def test_many_qos_2_messages_may_be_on_their_way_at_once(mqtt: Desk):
    """MQTT 3.1.1 has no receive maximum: some clients send all that they have."""
    peer, topic = mqtt.connect(), mqtt.topic("a")
    peer.send(*[Publish(topic, b"", 2, n).encode(V311) for n in range(1, 2_001)])

    assert [peer.expect(Kind.PUBREC).packet_id for _ in range(2_000)] == list(range(1, 2_001))
    peer.send(*[wire.ack(V311, Kind.PUBREL, n) for n in range(1, 2_001)])
    assert [peer.expect(Kind.PUBCOMP).packet_id for _ in range(2_000)] == list(range(1, 2_001))


@statement(v3="4.3.3-2", v5="4.3.3-12")
def test_after_pubcomp_the_same_packet_id_is_a_new_message(mqtt: Desk):
    topic = mqtt.topic("a")
    reader, writer = reader_of(mqtt, topic, 2), mqtt.connect()

    for payload in (b"1", b"2"):
        writer.send(Publish(topic, payload, 2, 7).encode(mqtt.version))
        assert writer.expect(Kind.PUBREC).packet_id == 7
        writer.send(wire.ack(mqtt.version, Kind.PUBREL, 7))
        assert writer.expect(Kind.PUBCOMP).packet_id == 7

    assert reader.payloads() == [b"1", b"2"]


@statement(v3="4.3.3-2", v5="4.3.3-11 3.7.2-1")
def test_pubrel_for_an_unknown_packet_id_is_answered(mqtt: Desk):
    peer = mqtt.connect()

    peer.send(wire.ack(mqtt.version, Kind.PUBREL, 99))

    answer = peer.expect(Kind.PUBCOMP)
    assert answer.packet_id == 99
    if mqtt.version == V5 and mqtt.is_ours:  # recommended, not required
        assert answer.reason == 0x92


@statement(v3="4.3.3-1", v5="4.3.3-4 3.6.2-1")
def test_pubrec_is_answered_by_pubrel_with_its_packet_id(mqtt: Desk):
    topic = mqtt.topic("a")
    reader = reader_of(mqtt, topic, 2)
    mqtt.connect().publish(topic, b"x", 2)
    message = reader.unacknowledged()

    for _ in range(2):  # a client may lose the first PUBREL
        reader.send(wire.ack(mqtt.version, Kind.PUBREC, message.packet_id))
        assert reader.expect(Kind.PUBREL).packet_id == message.packet_id
    reader.send(wire.ack(mqtt.version, Kind.PUBCOMP, message.packet_id))

    assert not reader.messages()


@statement(v5="4.3.3-4 4.4.0-2")
def test_a_refusing_pubrec_ends_the_handshake_without_pubrel(mqtt: Desk):
    topic = mqtt.topic("a")
    reader = reader_of(mqtt, topic, 2, keep=True)
    mqtt.connect().publish(topic, b"refused", 2)
    message = reader.unacknowledged()

    reader.send(wire.ack(V5, Kind.PUBREC, message.packet_id, 0x80))

    assert not reader.messages()
    reader.disconnect()
    assert not mqtt.connect("reader", keep=True).messages()


@statement(v5="4.4.0-2 3.4.2-1")
def test_a_refusing_puback_is_an_acknowledgement(mqtt: Desk):
    topic = mqtt.topic("a")
    reader = reader_of(mqtt, topic, 1, keep=True)
    mqtt.connect().publish(topic, b"refused", 1)
    message = reader.unacknowledged()

    reader.send(wire.ack(V5, Kind.PUBACK, message.packet_id, 0x99)).disconnect()

    assert not mqtt.connect("reader", keep=True).messages()


@statement(v3="3.3.1-1 4.4.0-1 4.6.0-1 2.3.1-3", v5="3.3.1-1 4.4.0-1 4.3.2-3 4.6.0-1")
def test_what_was_not_acknowledged_comes_again_in_order_with_dup_and_its_packet_id(mqtt: Desk):
    topic = mqtt.topic("a")
    reader, writer = reader_of(mqtt, topic, 2, keep=True), mqtt.connect()
    for number in range(6):
        writer.publish(topic, b"%d" % number, 1 + number % 2)
    first = [reader.unacknowledged() for _ in range(6)]
    reader.close()

    reader = mqtt.connect("reader", keep=True)
    again = [reader.unacknowledged() for _ in range(6)]

    assert all(message.dup for message in again)
    assert [(m.payload, m.packet_id, m.qos) for m in again] == [
        (m.payload, m.packet_id, m.qos) for m in first
    ]


@statement(v3="4.3.3-1 4.4.0-1", v5="4.3.3-3 4.3.3-5 4.3.3-6 4.4.0-1")
def test_after_pubrel_the_message_is_not_sent_again_but_pubrel_is(mqtt: Desk):
    topic = mqtt.topic("a")
    reader = reader_of(mqtt, topic, 2, keep=True)
    mqtt.connect().publish(topic, b"x", 2)
    message = reader.unacknowledged()
    reader.send(wire.ack(mqtt.version, Kind.PUBREC, message.packet_id))
    assert reader.expect(Kind.PUBREL).packet_id == message.packet_id
    reader.close()

    reader = mqtt.connect("reader", keep=True)

    assert reader.expect(Kind.PUBREL).packet_id == message.packet_id
    reader.send(wire.ack(mqtt.version, Kind.PUBCOMP, message.packet_id))
    assert not reader.messages()
    reader.disconnect()
    assert not mqtt.connect("reader", keep=True).messages()


@statement(v5="4.4.0-1")
def test_nothing_is_sent_again_while_connected(mqtt: Desk):
    topic = mqtt.topic("a")
    reader, writer = reader_of(mqtt, topic, 1), mqtt.connect()
    writer.publish(topic, b"held", 1)
    assert reader.unacknowledged().payload == b"held"

    for _ in range(3):
        writer.publish(topic, b"more", 1)

    assert [m.dup for m in reader.messages()] == [False] * 3


@pytest.mark.parametrize("qos", [0, 1, 2])
@statement(v3="4.6.0-5 4.6.0-6", v5="4.6.0-5 4.6.0-6")
def test_messages_of_a_client_arrive_in_order(mqtt: Desk, qos):
    topic = mqtt.topic("a")
    reader, writer = reader_of(mqtt, topic, qos), mqtt.connect()
    packets = [
        Publish(topic, b"%d" % number, qos, number if qos else 0).encode(mqtt.version)
        for number in range(1, 16)
    ]

    writer.send(*packets)
    if qos == 2:  # a server may pass messages on when they are released
        for packet_id in range(1, 16):
            writer.await_answer(Kind.PUBREC, packet_id)
            writer.send(wire.ack(mqtt.version, Kind.PUBREL, packet_id))

    assert [reader.message().payload for _ in range(15)] == [b"%d" % n for n in range(1, 16)]


@statement(v3="4.3.3-2 4.6.0-6", v5="4.6.0-5")
def test_acknowledgements_come_in_the_order_of_their_messages(mqtt: Desk):
    topic = mqtt.topic("a")
    peer = mqtt.connect()

    peer.send(
        *[Publish(topic, qos=1 + n % 2, packet_id=n).encode(mqtt.version) for n in range(1, 11)]
    )

    answers = [peer.next() for _ in range(10)]
    for kind, ids in ((Kind.PUBACK, [2, 4, 6, 8, 10]), (Kind.PUBREC, [1, 3, 5, 7, 9])):
        assert [a.packet_id for a in answers if isinstance(a, Answer) and a.kind == kind] == ids


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(b"", 0x81, id="empty"),
        pytest.param(b"\0", 0x81, id="half a length"),
        pytest.param(b"\0\5abc", 0x81, id="topic cut short"),
        pytest.param(b"\0\2\xc3\x28\0", 0x81, id="ill-formed topic"),
    ],
)
@statement(v3="3.3.2-1", v5="3.3.2-1")
def test_a_message_needs_a_well_formed_topic(mqtt: Desk, body, reason):
    peer = mqtt.connect()

    peer.send(wire.frame(0x30, body))

    mqtt.broken(peer, reason)


@pytest.mark.parametrize("topic", ["#", "+", "a/#", "a/+/b", "a+", "a#b"])
@statement(v3="3.3.2-2 4.7.1-1", v5="3.3.2-2 4.7.0-1")
def test_a_topic_name_has_no_wildcards(mqtt: Desk, topic):
    peer = mqtt.connect()

    peer.send(Publish(topic).encode(mqtt.version))

    mqtt.broken(peer, 0x90, 0x81)


@pytest.mark.parametrize("qos", [1, 2])
@statement(v3="3.3.5-2", v5="3.4.2-1 3.5.2-1")
def test_a_message_that_is_not_allowed_is_acknowledged_or_ends_the_connection(mqtt: Desk, qos):
    peer = mqtt.connect()
    peer.send(Publish("$SYS/not/allowed", qos=qos, packet_id=3).encode(mqtt.version))

    data = peer.raw()

    if not data:
        return
    assert data[0] >> 4 == (Kind.PUBACK if qos == 1 else Kind.PUBREC)
    if mqtt.is_ours and mqtt.version == V5:
        assert data[4] == 0x87


@statement(v5="4.3.3-9")
def test_after_a_refusing_pubrec_the_packet_id_is_free(mqtt: Desk):
    topic = mqtt.topic("a")
    reader, peer = reader_of(mqtt, topic, 2), mqtt.connect()
    peer.send(Publish("$SYS/not/allowed", qos=2, packet_id=3).encode(V5))
    if peer.expect(Kind.PUBREC).reason < 0x80:
        pytest.skip("this broker accepts what it does not deliver")

    peer.send(Publish(topic, b"allowed", 2, 3).encode(V5))

    assert peer.expect(Kind.PUBREC).reason == 0
    peer.send(wire.ack(V5, Kind.PUBREL, 3)).expect(Kind.PUBCOMP)
    assert reader.message().payload == b"allowed"


@pytest.mark.parametrize("size", [0, 1, 100, 16_000, 16_400, 100_000])
@statement(v3="3.3.2-3", v5="3.3.2-3 1.5.5-1")
def test_payloads_of_any_length_arrive_unchanged(mqtt: Desk, size):
    topic = mqtt.topic("a")
    reader, writer = reader_of(mqtt, mqtt.topic("+"), 1), mqtt.connect()
    payload = bytes(number % 251 for number in range(size))

    writer.publish(topic, payload, 1)

    message = reader.message()  # the reader checks that lengths are in their shortest form
    assert (message.topic, message.payload) == (topic, payload)
