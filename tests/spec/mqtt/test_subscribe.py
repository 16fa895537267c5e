"""SUBSCRIBE and UNSUBSCRIBE: what they answer and what is delivered because of them."""

import pytest

from tests.spec.mqtt import wire
from tests.spec.mqtt.conftest import Desk
from tests.spec.mqtt.statement import statement
from tests.spec.mqtt.wire import V5, Kind, Prop

pytestmark = pytest.mark.integration

NO_LOCAL = 0x04


@statement(v3="3.8.4-1 3.8.4-2 2.3.1-7", v5="3.8.4-1 3.8.4-2 2.2.1-6")
def test_subscribe_is_answered_by_suback_with_its_packet_id(mqtt: Desk):
    peer = mqtt.connect()

    peer.send(wire.subscribe(mqtt.version, 54_321, [(mqtt.topic("a"), 0)]))

    assert peer.expect(Kind.SUBACK).packet_id == 54_321


@statement(v3="3.8.4-4 3.8.4-5 3.9.3-1 3.9.3-2", v5="3.8.4-5 3.8.4-6 3.8.4-7 3.9.3-1 3.9.3-2")
def test_several_filters_are_answered_in_their_order(mqtt: Desk):
    peer, topics = mqtt.connect(), [mqtt.topic(name) for name in "abcd"]

    granted = peer.subscribe(*zip(topics, (2, 0, 1, 2), strict=True))

    assert granted == (2, 0, 1, 2)
    for topic in topics:
        peer.publish(topic, topic.encode())
    assert sorted(peer.payloads()) == sorted(topic.encode() for topic in topics)


@statement(v3="3.8.4-5 3.8.4-4", v5="3.8.4-6 3.8.4-5")
def test_hundreds_of_filters_in_one_packet_are_answered_one_by_one(mqtt: Desk):
    """As home automation asks for the topics of all its entities at once."""
    peer = mqtt.connect()

    granted = peer.subscribe(*[mqtt.topic(f"entity/{number}") for number in range(500)])

    assert granted == (0,) * 500
    peer.publish(mqtt.topic("entity/499"))
    assert peer.message().topic == mqtt.topic("entity/499")


@pytest.mark.parametrize("subscribed", [0, 1, 2])
@pytest.mark.parametrize("published", [0, 1, 2])
@statement(v3="3.8.4-6", v5="3.8.4-8")
def test_delivery_is_at_the_lower_of_both_qos(mqtt: Desk, published, subscribed):
    topic = mqtt.topic("a")
    reader = mqtt.connect()
    reader.subscribe(topic, qos=subscribed)

    mqtt.connect().publish(topic, b"x", published)

    assert reader.message().qos == min(published, subscribed)


@statement(v3="3.8.4-3", v5="3.8.4-3")
def test_subscribing_again_replaces_the_subscription(mqtt: Desk):
    topic = mqtt.topic("a")
    reader, writer = mqtt.connect(), mqtt.connect()
    for qos in (2, 0, 1):
        assert reader.subscribe(topic, qos=qos) == (qos,)
        writer.publish(topic, b"x", 2)

        assert [message.qos for message in reader.messages()] == [qos]

    assert reader.unsubscribe(topic) in {(), (0,)}
    writer.publish(topic, b"x", 2)
    assert not reader.messages()


@statement(v3="3.3.5-1", v5="3.3.4-2")
def test_overlapping_subscriptions_deliver_at_the_highest_qos(mqtt: Desk):
    topic = mqtt.topic("a/b")
    reader = mqtt.connect()
    reader.subscribe((mqtt.topic("#"), 0), (topic, 2), (mqtt.topic("a/+"), 1))

    mqtt.connect().publish(topic, b"x", 2)

    # One copy at the highest QoS, or one copy for each subscription, the highest among them.
    assert max(message.qos for message in reader.messages()) == 2


@statement(v3="3.8.1-1", v5="3.8.1-1")
@pytest.mark.parametrize("flags", [0, 1, 3, 15])
def test_subscribe_has_fixed_flags(mqtt: Desk, flags):
    peer = mqtt.connect()
    data = wire.subscribe(mqtt.version, 1, [(mqtt.topic("a"), 0)])

    peer.send(bytes((0x80 | flags,)) + data[1:])

    mqtt.broken(peer, 0x81)


@statement(v3="3.10.1-1", v5="3.10.1-1")
@pytest.mark.parametrize("flags", [0, 1, 3, 15])
def test_unsubscribe_has_fixed_flags(mqtt: Desk, flags):
    peer = mqtt.connect()
    data = wire.unsubscribe(mqtt.version, 1, [mqtt.topic("a")])

    peer.send(bytes((0xA0 | flags,)) + data[1:])

    mqtt.broken(peer, 0x81)


@statement(v3="3.8.3-3", v5="3.8.3-2")
def test_subscribe_needs_a_filter(mqtt: Desk):
    peer = mqtt.connect()

    peer.send(wire.subscribe(mqtt.version, 1, []))

    mqtt.broken(peer, 0x82)


@statement(v3="3.10.3-2", v5="3.10.3-2")
def test_unsubscribe_needs_a_filter(mqtt: Desk):
    peer = mqtt.connect()

    peer.send(wire.unsubscribe(mqtt.version, 1, []))

    mqtt.broken(peer, 0x82)


@statement(v3="2.3.1-1", v5="2.2.1-3")
@pytest.mark.parametrize("kind", [Kind.SUBSCRIBE, Kind.UNSUBSCRIBE])
def test_a_packet_id_of_0_ends_the_connection(mqtt: Desk, kind):
    peer, topic = mqtt.connect(), mqtt.topic("a")

    peer.send(
        wire.subscribe(mqtt.version, 0, [(topic, 0)])
        if kind == Kind.SUBSCRIBE
        else wire.unsubscribe(mqtt.version, 0, [topic])
    )

    mqtt.broken(peer, 0x82)


@pytest.mark.parametrize("name", [b"a\xff", b"\xed\xbf\xbf", b"\xc0\x80"])
@statement(v3="3.8.3-1 3.10.3-1", v5="3.8.3-1 3.10.3-1")
def test_filters_are_well_formed_text(mqtt: Desk, name):
    for data in (
        wire.subscribe(mqtt.version, 1, [(name, 0)]),
        wire.unsubscribe(mqtt.version, 1, [name]),
    ):
        mqtt.broken(mqtt.connect().send(data), 0x81)


@pytest.mark.parametrize("options", [0x03, 0x04, 0x08, 0x10, 0x40, 0x80])
@statement(v3="3.8.3-4")
def test_reserved_bits_beside_a_requested_qos_end_the_connection(mqtt: Desk, options):
    peer = mqtt.connect().send(wire.subscribe(mqtt.version, 1, [(mqtt.topic("a"), options)]))

    assert not peer.end()


@pytest.mark.parametrize(
    ("options", "reason"), [(0x03, 0x82), (0x30, 0x82), (0x40, 0x81), (0x80, 0x81)]
)
@statement(v5="3.8.3-5")
def test_subscription_options_that_do_not_exist_end_the_connection(mqtt: Desk, options, reason):
    peer = mqtt.connect().send(wire.subscribe(V5, 1, [(mqtt.topic("a"), options)]))

    mqtt.broken(peer, reason)


@statement(v3="3.10.4-1 3.10.4-2", v5="3.10.4-1 3.10.4-2")
def test_unsubscribing_ends_the_very_same_filter_only(mqtt: Desk):
    reader, writer = mqtt.connect(), mqtt.connect()
    reader.subscribe(mqtt.topic("a/+"), mqtt.topic("b"))

    reader.unsubscribe(mqtt.topic("a/b"), mqtt.topic("+"), mqtt.topic("#"), mqtt.topic("A/+"))
    for name in ("a/b", "b"):
        writer.publish(mqtt.topic(name), name.encode())
    assert sorted(reader.payloads()) == [b"a/b", b"b"]

    reader.unsubscribe(mqtt.topic("a/+"))
    for name in ("a/b", "b"):
        writer.publish(mqtt.topic(name), name.encode())
    assert reader.payloads() == [b"b"]


@statement(v3="3.10.4-3", v5="3.10.4-3")
def test_what_is_on_its_way_is_delivered_after_unsubscribing(mqtt: Desk):
    topic = mqtt.topic("a")
    reader = mqtt.connect()
    reader.subscribe(topic, qos=2)
    writer = mqtt.connect()
    for qos in (1, 2):
        writer.publish(topic, b"%d" % qos, qos)
    first, second = reader.unacknowledged(), reader.unacknowledged()

    reader.unsubscribe(topic)

    reader.acknowledge(first)
    reader.acknowledge(second)  # the broker goes on to PUBREL
    assert {first.payload, second.payload} == {b"1", b"2"}


@statement(
    v3="3.10.4-4 3.10.4-5 3.10.4-6 2.3.1-7",
    v5="3.10.4-4 3.10.4-5 3.10.4-6 2.2.1-6 3.11.3-1 3.11.3-2",
)
def test_unsubscribe_is_answered_once_for_all_its_filters(mqtt: Desk):
    peer, topics = mqtt.connect(), [mqtt.topic(name) for name in "abc"]
    peer.subscribe(topics[1])

    peer.send(wire.unsubscribe(mqtt.version, 777, topics))

    answer = peer.expect(Kind.UNSUBACK)
    assert answer.packet_id == 777
    assert answer.reasons == ((0x11, 0x00, 0x11) if mqtt.version == V5 else ())
    assert not peer.messages()


@statement(v5="3.8.3-3")
def test_no_local_leaves_out_ones_own_messages(mqtt: Desk):
    topic = mqtt.topic("a")
    peer, other = mqtt.connect(), mqtt.connect()
    peer.subscribe((topic, NO_LOCAL))
    other.subscribe((topic, 0))

    peer.publish(topic, b"own")
    other.publish(topic, b"foreign")

    assert peer.payloads() == [b"foreign"]
    assert sorted(other.payloads()) == [b"foreign", b"own"]


@statement(v5="3.3.4-3 3.3.4-4 3.3.4-5")
def test_subscription_identifiers_come_with_what_they_brought(mqtt: Desk):
    topic = mqtt.topic("a/b")
    reader = mqtt.connect()
    reader.subscribe(mqtt.topic("a/+"), pairs=[(Prop.SUBSCRIPTION_ID, 1)])
    reader.subscribe(mqtt.topic("a/#"), pairs=[(Prop.SUBSCRIPTION_ID, 268_435_455)])
    reader.subscribe(topic)

    mqtt.connect().publish(topic, b"x", 1)

    found = [identifier for m in reader.messages() for identifier in m.all(Prop.SUBSCRIPTION_ID)]
    assert sorted(map(str, found)) == ["1", "268435455"]


@statement(v5="3.3.4-3 3.8.4-3")
def test_a_replaced_subscription_has_its_new_identifier(mqtt: Desk):
    topic = mqtt.topic("a")
    reader, writer = mqtt.connect(), mqtt.connect()
    for identifier in (5, 6):
        reader.subscribe(topic, pairs=[(Prop.SUBSCRIPTION_ID, identifier)])
    writer.publish(topic)
    assert reader.message().all(Prop.SUBSCRIPTION_ID) == [6]

    reader.subscribe(topic)
    writer.publish(topic)

    assert reader.message().all(Prop.SUBSCRIPTION_ID) == []


@statement(v5="3.3.4-3 3.3.1-9")
def test_retained_messages_carry_the_identifier_of_their_subscription(mqtt: Desk):
    topic = mqtt.topic("a")
    writer, reader = mqtt.connect(), mqtt.connect()
    writer.publish(topic, b"kept", 1, retain=True)

    reader.subscribe(topic, pairs=[(Prop.SUBSCRIPTION_ID, 42)])

    assert reader.message().all(Prop.SUBSCRIPTION_ID) == [42]
    writer.publish(topic, b"", retain=True)


@statement(v5="3.3.4-3 3.1.2-5")
def test_identifiers_survive_in_a_kept_session(mqtt: Desk):
    topic = mqtt.topic("a")
    first = mqtt.connect("c", keep=True)
    first.subscribe(topic, qos=1, pairs=[(Prop.SUBSCRIPTION_ID, 7)])
    first.disconnect()
    mqtt.connect().publish(topic, b"waits", 1)

    again = mqtt.connect("c", keep=True)

    assert again.message().all(Prop.SUBSCRIPTION_ID) == [7]


@statement(v5="4.13.1-1")
def test_a_subscription_identifier_of_0_ends_the_connection(mqtt: Desk):
    data = wire.subscribe(V5, 1, [(mqtt.topic("a"), 0)], [(Prop.SUBSCRIPTION_ID, 0)])

    mqtt.broken(mqtt.connect().send(data), 0x82)
