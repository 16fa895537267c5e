"""What MQTT 5 carries beside a message, and for how long."""

import time

import pytest

from tests.spec.mqtt import wire
from tests.spec.mqtt.conftest import Desk
from tests.spec.mqtt.peer import Peer
from tests.spec.mqtt.statement import statement
from tests.spec.mqtt.wire import V5, V311, Kind, Login, Prop, Publish

pytestmark = pytest.mark.integration

CARRIED: list[tuple[int, wire.Value]] = [
    (Prop.PAYLOAD_FORMAT, 1),
    (Prop.CONTENT_TYPE, "application/json; charset=utf-8"),
    (Prop.RESPONSE_TOPIC, "answers/\u00e4"),
    (Prop.CORRELATION_DATA, bytes(range(256))),
    (Prop.USER_PROPERTY, ("z", "1")),
    (Prop.USER_PROPERTY, ("a", "2")),
    (Prop.USER_PROPERTY, ("z", "")),
    (Prop.USER_PROPERTY, ("", "1")),
]
NOT_ALLOWED = "$SYS/not/allowed"


def without_identifiers(message: Publish) -> list[tuple[int, wire.Value]]:
    return sorted(message.properties, key=lambda pair: pair[0])


@pytest.mark.parametrize("how", ["live", "retained", "kept"])
@statement(v5="3.3.2-4 3.3.2-15 3.3.2-16 3.3.2-17 3.3.2-18 3.3.2-20")
def test_properties_reach_subscribers_unaltered(mqtt: Desk, how):
    topic = mqtt.topic("a")
    reader, writer = mqtt.connect("c", keep=True), mqtt.connect()
    if how != "retained":
        reader.subscribe(topic, qos=1)
    if how == "kept":
        reader.disconnect()

    writer.publish(topic, b"{}", 1, retain=how == "retained", pairs=CARRIED)

    if how == "kept":
        reader = mqtt.connect("c", keep=True)
    if how == "retained":
        reader.subscribe(topic, qos=1)
    assert without_identifiers(reader.message()) == sorted(CARRIED, key=lambda pair: pair[0])
    writer.publish(topic, b"", retain=True)


@statement(v5="3.3.2-4 3.3.2-17")
def test_messages_pass_between_the_versions(mqtt: Desk):
    """A client of 3.1.1 gets the message without properties; its own come to v5 without any."""
    topic = mqtt.topic("a")
    old = mqtt.open().send(wire.connect(V311, mqtt.name("old")))
    old.version = V311
    assert old.expect(Kind.CONNACK).reason == 0
    new = mqtt.connect()
    for peer in (old, new):
        peer.subscribe(topic, qos=1)

    new.publish(topic, b"new", 1, pairs=CARRIED)
    assert (old.message().payload, new.message().payload) == (b"new", b"new")
    old.publish(topic, b"old", 1)

    assert old.message().payload == b"old"
    message = new.message()
    assert (message.payload, message.properties) == (b"old", ())


@statement(v5="3.3.2-6")
def test_a_message_carries_what_is_left_of_its_time(mqtt: Desk):
    topic = mqtt.topic("a")
    first = mqtt.connect("c", keep=True)
    first.subscribe(topic, qos=1)
    first.disconnect()
    writer = mqtt.connect()
    writer.publish(topic, b"waits", 1, retain=True, pairs=[(Prop.MESSAGE_EXPIRY, 100)])
    time.sleep(1.2)

    again, late = mqtt.connect("c", keep=True), mqtt.connect()
    late.subscribe(topic)

    for peer in (again, late):
        left_s = peer.message().one(Prop.MESSAGE_EXPIRY)
        assert isinstance(left_s, int)
        assert 60 < left_s < 100
    writer.publish(topic, b"", retain=True)


@statement(v5="3.3.2-6")
def test_a_message_delivered_at_once_keeps_its_time(mqtt: Desk):
    topic = mqtt.topic("a")
    reader = mqtt.connect()
    reader.subscribe(topic)

    reader.publish(topic, pairs=[(Prop.MESSAGE_EXPIRY, 1_000)])

    left_s = reader.message().one(Prop.MESSAGE_EXPIRY)
    assert isinstance(left_s, int)
    assert 940 < left_s <= 1_000


@statement(v5="3.3.2-5")
def test_a_message_whose_time_is_over_is_not_delivered(mqtt: Desk):
    topic, kept = mqtt.topic("a"), mqtt.topic("kept")
    first = mqtt.connect("c", keep=True)
    first.subscribe(topic, qos=1)
    first.disconnect()
    writer, expiry = mqtt.connect(), [(Prop.MESSAGE_EXPIRY, 1)]
    writer.publish(topic, b"over", 1, pairs=expiry)
    writer.publish(topic, b"stays", 1)
    writer.publish(kept, b"over", 1, retain=True, pairs=expiry)
    time.sleep(2.2)

    again = mqtt.connect("c", keep=True)
    late = mqtt.connect()
    late.subscribe(kept)

    assert again.payloads() == [b"stays"]
    assert not late.messages()


@statement(v5="4.3.3-7 4.4.0-1")
def test_a_message_once_sent_comes_again_even_after_its_time(mqtt: Desk):
    topic = mqtt.topic("a")
    reader = mqtt.connect("c", keep=True)
    reader.subscribe(topic, qos=2)
    mqtt.connect().publish(topic, b"sent", 2, pairs=[(Prop.MESSAGE_EXPIRY, 1)])
    assert reader.unacknowledged().payload == b"sent"
    reader.close()
    time.sleep(2.2)

    again = mqtt.connect("c", keep=True)

    message = again.message()
    assert (message.payload, message.dup) == (b"sent", True)


# --- topic aliases ---


def alias_maximum(mqtt: Desk) -> tuple[Peer, int]:
    peer, connack = mqtt.login()
    maximum = connack.one(Prop.TOPIC_ALIAS_MAXIMUM)
    if not isinstance(maximum, int) or not maximum:
        pytest.skip("this broker takes no topic aliases")
    return peer, maximum


@statement(v5="3.3.2-12")
def test_every_alias_up_to_the_maximum_is_accepted(mqtt: Desk):
    peer, maximum = alias_maximum(mqtt)
    reader = mqtt.connect()
    reader.subscribe(mqtt.topic("+"))

    for alias in {1, (maximum + 1) // 2, maximum}:
        pairs = [(Prop.TOPIC_ALIAS, alias)]
        for topic in (mqtt.topic(str(alias)), ""):
            peer.publish(topic, b"%d" % alias, 1, pairs=pairs)
        assert [(m.topic, m.payload) for m in reader.messages()] == [
            (mqtt.topic(str(alias)), b"%d" % alias)
        ] * 2


@statement(v5="3.3.2-12")
def test_an_alias_can_be_given_to_another_topic(mqtt: Desk):
    peer, _ = alias_maximum(mqtt)
    reader = mqtt.connect()
    reader.subscribe(mqtt.topic("+"))
    pairs = [(Prop.TOPIC_ALIAS, 1)]

    for topic in (mqtt.topic("a"), "", mqtt.topic("b"), ""):
        peer.publish(topic, pairs=pairs)

    names = [m.topic for m in reader.messages()]
    assert names == [mqtt.topic(name) for name in "aabb"]


@statement(v5="3.3.2-7")
def test_aliases_end_with_their_connection(mqtt: Desk):
    alias_maximum(mqtt)
    pairs = [(Prop.TOPIC_ALIAS, 1)]
    first = mqtt.connect("c", keep=True)
    first.publish(mqtt.topic("a"), pairs=pairs)
    first.disconnect()

    again = mqtt.connect("c", keep=True)
    again.send(Publish("", properties=pairs).encode(V5))

    mqtt.broken(again, 0x82)


@pytest.mark.parametrize("which", ["zero", "above the maximum"])
@statement(v5="3.3.2-8 3.3.2-9 3.2.2-17 3.2.2-18")
def test_an_alias_out_of_range_ends_the_connection(mqtt: Desk, which):
    peer, connack = mqtt.login()
    maximum = connack.one(Prop.TOPIC_ALIAS_MAXIMUM) or 0
    assert isinstance(maximum, int)
    if which != "zero" and maximum == 65_535:
        pytest.skip("this broker takes every alias")
    alias = 0 if which == "zero" else maximum + 1

    peer.send(Publish(mqtt.topic("a"), properties=[(Prop.TOPIC_ALIAS, alias)]).encode(V5))

    mqtt.broken(peer, 0x94)


@pytest.mark.parametrize("maximum", [0, 2])
@statement(v5="3.1.2-26 3.1.2-27 3.3.2-11")
def test_the_server_stays_within_the_clients_aliases(mqtt: Desk, maximum):
    reader = mqtt.connect(pairs=[(Prop.TOPIC_ALIAS_MAXIMUM, maximum)])
    reader.subscribe(mqtt.topic("+"))
    writer = mqtt.connect()
    names = [mqtt.topic(name) for name in "abcabc"]

    for name in names:
        writer.publish(name)

    messages = reader.messages()  # the peer puts the topic in place of its alias
    assert [m.topic for m in messages] == names
    for message in messages:
        alias = message.one(Prop.TOPIC_ALIAS)
        assert alias is None or (isinstance(alias, int) and 1 <= alias <= maximum)


# --- sizes ---


@statement(v5="3.1.2-24 3.1.2-25")
def test_a_message_too_large_for_a_client_is_left_out(mqtt: Desk):
    topic = mqtt.topic("a")
    reader = mqtt.connect(pairs=[(Prop.MAXIMUM_PACKET_SIZE, 200)])
    other, writer = mqtt.connect(), mqtt.connect()
    for peer in (reader, other):
        peer.subscribe(topic, qos=1)

    for payload in (b"1", bytes(300), b"2"):
        assert writer.publish(topic, payload, 1) < 0x80

    assert reader.payloads() == [b"1", b"2"]
    assert len(other.payloads()) == 3


@statement(v5="3.1.2-25 3.1.2-24 4.6.0-5")
def test_a_queue_of_messages_too_large_for_a_client_neither_stops_nor_reorders_the_rest(mqtt: Desk):
    topic = mqtt.topic("a")
    first = mqtt.connect("c", keep=True)
    first.subscribe(topic, qos=1)
    first.disconnect()
    writer = mqtt.connect()
    for batch in range(10):
        sizes = [300] * 89 + [0]
        packets = [
            Publish(topic, b"%d" % batch + bytes(size), 1, number).encode(V5)
            for number, size in enumerate(sizes, 1)
        ]
        writer.send(*packets)
        for number in range(1, 91):
            writer.await_answer(Kind.PUBACK, number)

    limits = [(Prop.MAXIMUM_PACKET_SIZE, 200), (Prop.RECEIVE_MAXIMUM, 3)]
    again = mqtt.connect("c", keep=True, pairs=limits)

    assert [again.message().payload for _ in range(10)] == [b"%d" % batch for batch in range(10)]


@pytest.mark.parametrize("qos", [1, 2])
@statement(v5="3.4.2-2 3.4.2-3 3.5.2-2 3.5.2-3 3.1.2-24")
def test_the_reason_of_a_refusal_fits_the_clients_limit(mqtt: Desk, qos):
    peer = mqtt.connect(pairs=[(Prop.MAXIMUM_PACKET_SIZE, 20)])

    peer.send(Publish(NOT_ALLOWED, qos=qos, packet_id=3).encode(V5))
    packet = peer.next()

    assert isinstance(packet, wire.Answer)
    assert packet.kind in {Kind.PUBACK, Kind.PUBREC, Kind.DISCONNECT}
    assert peer.last_size <= 20


@statement(v5="3.9.2-1 3.9.2-2 3.11.2-1 3.11.2-2 3.7.2-2 3.7.2-3 3.14.2-3 3.14.2-4")
def test_other_reasons_fit_the_clients_limit_too(mqtt: Desk):
    small = [(Prop.MAXIMUM_PACKET_SIZE, 20)]
    peer = mqtt.connect(pairs=small)
    for data, kind in (
        (wire.subscribe(V5, 1, [("$share/g/" + mqtt.topic("a"), 0)]), Kind.SUBACK),
        (wire.unsubscribe(V5, 2, [mqtt.topic("never")]), Kind.UNSUBACK),
        (wire.ack(V5, Kind.PUBREL, 77), Kind.PUBCOMP),
    ):
        peer.send(data).next()
        assert peer.last_size <= 20, kind

    peer.send(wire.frame(0x00)).end()

    assert peer.last_size <= 20


@statement(v5="3.2.2-19 3.2.2-20")
def test_connack_leaves_out_explanations_that_do_not_fit(mqtt: Desk):
    pairs: wire.Properties = [(Prop.MAXIMUM_PACKET_SIZE, 30), (Prop.AUTH_METHOD, "none-such")]

    peer = mqtt.open().send(wire.connect(V5, mqtt.name(), Login(properties=pairs)))

    assert len(peer.raw()) <= 30


@statement(v5="3.1.2-29")
def test_a_client_that_wants_no_explanations_gets_none(mqtt: Desk):
    peer = mqtt.connect(pairs=[(Prop.REQUEST_PROBLEM_INFO, 0)])
    peer.send(
        Publish(NOT_ALLOWED, qos=1, packet_id=3).encode(V5),
        wire.subscribe(V5, 1, [("$SYS/#", 0)]),
        wire.unsubscribe(V5, 2, [mqtt.topic("never")]),
        wire.ack(V5, Kind.PUBREL, 77),
    )

    for kind, packet_id in (
        (Kind.PUBACK, 3),
        (Kind.SUBACK, 1),
        (Kind.UNSUBACK, 2),
        (Kind.PUBCOMP, 77),
    ):
        answer = peer.await_answer(kind, packet_id)
        assert answer.one(Prop.REASON_STRING) is None
        assert answer.one(Prop.USER_PROPERTY) is None
