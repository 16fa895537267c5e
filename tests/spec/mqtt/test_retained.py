"""Retained messages: stored, replaced, removed, and sent to whom and how."""

import pytest

from tests.spec.mqtt.conftest import Desk
from tests.spec.mqtt.statement import statement

pytestmark = pytest.mark.integration

RETAIN_AS_PUBLISHED = 0x08
IF_NEW, NEVER = 0x10, 0x20  # retain handling 1 and 2


@pytest.mark.parametrize("qos", [0, 1, 2])
@statement(v3="3.3.1-5 3.3.1-6 3.3.1-8", v5="3.3.1-5 3.3.1-9")
def test_a_retained_message_goes_to_later_subscribers_with_its_qos(mqtt: Desk, qos):
    topic = mqtt.topic("a")
    writer = mqtt.connect()
    writer.publish(topic, b"kept", qos, retain=True)

    reader = mqtt.connect()
    reader.subscribe(topic, qos=2)

    message = reader.message()
    assert (message.payload, message.qos, message.retain) == (b"kept", qos, True)
    writer.publish(topic, b"", retain=True)


@pytest.mark.parametrize("qos", [0, 1])
@statement(v3="3.3.1-6 3.3.1-7", v5="3.3.1-5")
def test_the_last_retained_message_replaces_the_one_before(mqtt: Desk, qos):
    topic = mqtt.topic("a")
    writer = mqtt.connect()
    writer.publish(topic, b"first", 1, retain=True)
    writer.publish(topic, b"second", qos, retain=True)

    reader = mqtt.connect()
    reader.subscribe(topic)

    assert reader.payloads() == [b"second"]
    writer.publish(topic, b"", retain=True)


@statement(v3="3.3.1-6", v5="3.3.1-9")
def test_a_wildcard_brings_each_retained_message_that_matches(mqtt: Desk):
    writer = mqtt.connect()
    for name in ("a", "b", "b/c", "d/e/f"):
        writer.publish(mqtt.topic(name), name.encode(), retain=True)

    reader = mqtt.connect()
    reader.subscribe(mqtt.topic("+"))
    assert sorted(reader.payloads()) == [b"a", b"b"]
    other = mqtt.connect()
    other.subscribe(mqtt.topic("b/#"))
    assert sorted(other.payloads()) == [b"b", b"b/c"]

    for name in ("a", "b", "b/c", "d/e/f"):
        writer.publish(mqtt.topic(name), b"", retain=True)


@statement(v3="3.3.1-9", v5="3.3.1-12")
def test_to_whom_is_subscribed_already_a_retained_message_comes_as_any_other(mqtt: Desk):
    topic = mqtt.topic("a")
    reader = mqtt.connect()
    reader.subscribe(topic)

    mqtt.connect().publish(topic, b"live", retain=True)

    assert not reader.message().retain
    reader.publish(topic, b"", retain=True)


@statement(v3="3.3.1-10 3.3.1-11", v5="3.3.1-6 3.3.1-7")
def test_an_empty_message_removes_the_retained_one(mqtt: Desk):
    topic = mqtt.topic("a")
    live, writer = mqtt.connect(), mqtt.connect()
    writer.publish(topic, b"kept", 1, retain=True)
    live.subscribe(topic)
    assert live.message().payload == b"kept"

    writer.publish(topic, b"", 1, retain=True)

    assert [(m.payload, m.retain) for m in live.messages()] == [(b"", False)]
    late = mqtt.connect()
    late.subscribe(topic)
    assert not late.messages()


@pytest.mark.parametrize("payload", [b"", b"live"])
@statement(v3="3.3.1-12", v5="3.3.1-8")
def test_a_message_that_is_not_retained_leaves_the_retained_one_alone(mqtt: Desk, payload):
    topic = mqtt.topic("a")
    writer = mqtt.connect()
    writer.publish(topic, b"kept", 1, retain=True)
    writer.publish(topic, payload, 1)

    reader = mqtt.connect()
    reader.subscribe(topic)

    assert reader.payloads() == [b"kept"]
    writer.publish(topic, b"", retain=True)


@statement(v3="3.8.4-3 3.3.1-6", v5="3.8.4-3 3.8.4-4 3.3.1-9")
def test_subscribing_again_brings_the_retained_message_again(mqtt: Desk):
    topic = mqtt.topic("a")
    mqtt.connect().publish(topic, b"kept", 1, retain=True)
    reader = mqtt.connect()

    for _ in range(2):
        reader.subscribe(topic)
        message = reader.message()
        assert (message.payload, message.retain) == (b"kept", True)

    reader.publish(topic, b"", retain=True)


@statement(v5="3.3.1-10")
def test_retain_handling_1_brings_retained_messages_to_new_subscriptions_only(mqtt: Desk):
    topic = mqtt.topic("a")
    mqtt.connect().publish(topic, b"kept", 1, retain=True)
    reader = mqtt.connect()

    reader.subscribe((topic, IF_NEW))
    assert reader.payloads() == [b"kept"]
    reader.subscribe((topic, IF_NEW))
    assert not reader.messages()
    reader.unsubscribe(topic)
    reader.subscribe((topic, IF_NEW))
    assert reader.payloads() == [b"kept"]

    reader.publish(topic, b"", retain=True)


@statement(v5="3.3.1-11")
def test_retain_handling_2_brings_no_retained_message(mqtt: Desk):
    topic = mqtt.topic("a")
    writer, reader = mqtt.connect(), mqtt.connect()
    writer.publish(topic, b"kept", 1, retain=True)

    reader.subscribe((topic, NEVER))

    assert not reader.messages()
    writer.publish(topic, b"", retain=True)


@pytest.mark.parametrize("retain", [False, True])
@statement(v5="3.3.1-12 3.3.1-13")
def test_retain_as_published_keeps_the_flag_as_it_was(mqtt: Desk, retain):
    topic = mqtt.topic("a")
    plain, exact, writer = mqtt.connect(), mqtt.connect(), mqtt.connect()
    plain.subscribe(topic)
    exact.subscribe((topic, RETAIN_AS_PUBLISHED))

    writer.publish(topic, b"x", 1, retain=retain)

    assert not plain.message().retain
    assert exact.message().retain == retain
    writer.publish(topic, b"", retain=True)
