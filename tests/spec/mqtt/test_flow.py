"""MQTT 5 flow control and shared subscriptions."""

import pytest

from tests.spec.mqtt import wire
from tests.spec.mqtt.conftest import Desk
from tests.spec.mqtt.statement import statement
from tests.spec.mqtt.wire import V5, Kind, Prop, Publish

pytestmark = pytest.mark.integration

NO_LOCAL = 0x04
RECEIVE_MAXIMUM_DEFAULT = 65_535


@pytest.mark.parametrize("qos", [1, 2])
@statement(v5="3.3.4-9 4.9.0-1 4.9.0-2")
def test_no_more_messages_are_in_flight_than_the_client_takes(mqtt: Desk, qos):
    topic = mqtt.topic("a")
    reader = mqtt.connect(pairs=[(Prop.RECEIVE_MAXIMUM, 2)])
    reader.subscribe(topic, qos=qos)
    writer = mqtt.connect()
    for number in range(5):
        writer.publish(topic, b"%d" % number, qos)

    held = [reader.unacknowledged() for _ in range(2)]
    reader.send(wire.PINGREQ)
    assert reader.next() == wire.Answer(Kind.PINGRESP)  # and not a third message
    for message in held:
        reader.acknowledge(message)

    rest = [reader.message() for _ in range(3)]
    assert [m.payload for m in held + rest] == [b"%d" % n for n in range(5)]


@statement(v5="4.9.0-3 3.3.4-10")
def test_everything_else_goes_on_while_the_quota_is_used_up(mqtt: Desk):
    topic = mqtt.topic("a")
    reader = mqtt.connect(pairs=[(Prop.RECEIVE_MAXIMUM, 1)])
    reader.subscribe(topic, qos=1)
    writer = mqtt.connect()
    for _ in range(3):
        writer.publish(topic, b"quota", 1)
    held = reader.unacknowledged()

    reader.ping()
    assert reader.subscribe(mqtt.topic("other")) == (0,)
    assert reader.unsubscribe(mqtt.topic("other")) == (0,)
    assert reader.publish(mqtt.topic("up"), qos=1) in {0, 0x10}
    assert reader.publish(mqtt.topic("up"), qos=2) in {0, 0x10}
    reader.acknowledge(held)

    assert [reader.message().payload for _ in range(2)] == [b"quota"] * 2


@statement(v5="4.9.0-2 4.4.0-2")
def test_a_refusing_pubrec_returns_the_quota(mqtt: Desk):
    topic = mqtt.topic("a")
    reader = mqtt.connect(pairs=[(Prop.RECEIVE_MAXIMUM, 1)])
    reader.subscribe(topic, qos=2)
    writer = mqtt.connect()
    for number in range(3):
        writer.publish(topic, b"%d" % number, 2)

    for number in range(3):
        message = reader.unacknowledged()
        assert message.payload == b"%d" % number
        reader.send(wire.ack(V5, Kind.PUBREC, message.packet_id, 0x83))


@statement(v5="3.3.4-7 4.9.0-1")
def test_a_client_that_exceeds_the_servers_quota_is_cut_off(mqtt: Desk):
    peer, connack = mqtt.login()
    maximum = connack.one(Prop.RECEIVE_MAXIMUM) or RECEIVE_MAXIMUM_DEFAULT
    assert isinstance(maximum, int)
    if maximum > 20_000:
        pytest.skip("this broker's quota is too large to exceed in a test")

    messages = [Publish(mqtt.topic("a"), b"", 2, n).encode(V5) for n in range(1, maximum + 2)]
    peer.send(*messages)

    for packet_id in range(1, maximum + 1):
        assert peer.expect(Kind.PUBREC).packet_id == packet_id
    mqtt.broken(peer, 0x93)


# --- shared subscriptions ---


@statement(v5="4.8.2-1")
def test_a_shared_subscription_gives_each_message_to_one_of_its_clients(mqtt: Desk):
    topic = mqtt.topic("a")
    readers, plain, writer = [mqtt.connect() for _ in range(3)], mqtt.connect(), mqtt.connect()
    for reader in readers:
        assert reader.subscribe(f"$share/group/{topic}", qos=1) == (1,)
    plain.subscribe(topic)

    for number in range(30):
        writer.publish(topic, b"%d" % number, 1)

    shares = [reader.payloads() for reader in readers]
    assert sorted(int(p) for share in shares for p in share) == list(range(30))
    assert len([share for share in shares if share]) > 1
    assert len(plain.payloads()) == 30


@statement(v5="4.8.2-1 4.8.2-2")
def test_groups_are_apart_and_may_use_wildcards(mqtt: Desk):
    first, second, writer = mqtt.connect(), mqtt.connect(), mqtt.connect()
    first.subscribe(f"$share/one/{mqtt.topic('+')}")
    second.subscribe(f"$share/two/{mqtt.topic('#')}")

    third = mqtt.connect()
    third.subscribe(f"$share/one//{mqtt.topic('a')}")  # its filter begins with a slash

    for name in "ab":
        writer.publish(mqtt.topic(name), name.encode())
    writer.publish(f"/{mqtt.topic('a')}", b"c")

    assert first.payloads() == second.payloads() == [b"a", b"b"]
    assert third.payloads() == [b"c"]


@pytest.mark.parametrize(
    "name", ["$share//a", "$share/+/a", "$share/#/a", "$share/a+b/c", "$share/g"]
)
@statement(v5="4.8.2-1 4.8.2-2")
def test_share_names_that_do_not_fit_are_refused(mqtt: Desk, name):
    peer = mqtt.connect().send(wire.subscribe(V5, 1, [(name, 0)]), wire.PINGREQ)

    answer = peer.raw()

    if answer and answer[0] >> 4 == Kind.SUBACK:
        assert answer[-1] >= 0x80
    else:
        assert not answer or answer[0] >> 4 == Kind.DISCONNECT


@pytest.mark.parametrize("granted", [0, 1, 2])
@statement(v5="4.8.2-3")
def test_a_shared_subscription_respects_its_qos(mqtt: Desk, granted):
    topic = mqtt.topic("a")
    reader = mqtt.connect()
    reader.subscribe(f"$share/group/{topic}", qos=granted)

    mqtt.connect().publish(topic, b"x", 2)

    assert reader.message().qos == granted


@statement(v5="3.8.3-4")
def test_no_local_is_not_for_shared_subscriptions(mqtt: Desk):
    data = wire.subscribe(V5, 1, [(f"$share/group/{mqtt.topic('a')}", NO_LOCAL)])

    mqtt.broken(mqtt.connect().send(data), 0x82)


@statement(v5="4.8.2-4")
def test_a_message_given_to_one_client_is_completed_with_it(mqtt: Desk):
    topic = mqtt.topic("a")
    first = mqtt.connect("c", keep=True)
    first.subscribe(f"$share/group/{topic}", qos=2)
    mqtt.connect().publish(topic, b"given", 2)
    assert first.unacknowledged().payload == b"given"
    second = mqtt.connect()
    second.subscribe(f"$share/group/{topic}", qos=2)
    first.close()

    again = mqtt.connect("c", keep=True)

    assert again.message().payload == b"given"
    assert not second.messages()


@statement(v5="4.8.2-5")
def test_a_qos_2_message_given_to_a_session_that_ends_goes_to_nobody_else(mqtt: Desk):
    topic = mqtt.topic("a")
    first = mqtt.connect()
    first.subscribe(f"$share/group/{topic}", qos=2)
    mqtt.connect().publish(topic, b"given", 2)
    assert first.unacknowledged().payload == b"given"
    second = mqtt.connect()
    second.subscribe(f"$share/group/{topic}", qos=2)

    first.disconnect()

    assert not second.messages()


@pytest.mark.parametrize("qos", [1, 2])
@statement(v5="4.8.2-6")
def test_a_refused_message_goes_to_nobody_else(mqtt: Desk, qos):
    topic = mqtt.topic("a")
    first = mqtt.connect()
    first.subscribe(f"$share/group/{topic}", qos=qos)
    mqtt.connect().publish(topic, b"refused", qos)
    message = first.unacknowledged()
    second = mqtt.connect()
    second.subscribe(f"$share/group/{topic}", qos=qos)

    kind = Kind.PUBACK if qos == 1 else Kind.PUBREC
    first.send(wire.ack(V5, kind, message.packet_id, 0x80))

    assert not first.messages()
    assert not second.messages()


@statement(v5="4.8.2-1")
def test_a_shared_subscription_brings_no_retained_message(mqtt: Desk):
    """Section 4.8.2: retained messages are not sent when a shared subscription is made."""
    topic = mqtt.topic("a")
    writer, reader = mqtt.connect(), mqtt.connect()
    writer.publish(topic, b"kept", 1, retain=True)

    reader.subscribe(f"$share/group/{topic}")

    assert not reader.messages()
    writer.publish(topic, b"", retain=True)


@statement(v5="4.8.2-1 3.10.4-1")
def test_leaving_a_group_leaves_its_messages_to_the_others(mqtt: Desk):
    topic = mqtt.topic("a")
    first, second, writer = mqtt.connect(), mqtt.connect(), mqtt.connect()
    for reader in (first, second):
        reader.subscribe(f"$share/group/{topic}")
    assert first.unsubscribe(f"$share/group/{topic}") == (0,)

    for number in range(4):
        writer.publish(topic, b"%d" % number)

    assert not first.messages()
    assert second.payloads() == [b"0", b"1", b"2", b"3"]
