"""Wills: published when a connection is lost, and only then."""

import time

import pytest

from tests.spec.mqtt.conftest import Desk
from tests.spec.mqtt.statement import statement
from tests.spec.mqtt.wire import Prop, Value, Will, frame

pytestmark = pytest.mark.integration


@statement(v3="3.1.2-8 3.1.3-1", v5="3.1.2-7 3.1.2-8 3.1.3-1")
def test_a_lost_connection_publishes_its_will(mqtt: Desk):
    topic = mqtt.topic("will")
    reader = mqtt.connect()
    reader.subscribe(topic)
    client = mqtt.connect(will=Will(topic, b"lost"))
    assert not reader.messages()

    client.close()

    assert reader.message().payload == b"lost"


@statement(v3="3.1.2-8", v5="3.1.2-8")
def test_a_protocol_error_publishes_the_will(mqtt: Desk):
    topic = mqtt.topic("will")
    reader = mqtt.connect()
    reader.subscribe(topic)
    client = mqtt.connect(will=Will(topic, b"broken"))

    client.send(frame(0xF3, b"???")).end()

    assert reader.message().payload == b"broken"


@statement(v3="3.1.2-10 3.14.4-3", v5="3.1.2-10 3.14.4-3")
def test_disconnect_discards_the_will(mqtt: Desk):
    topic = mqtt.topic("will")
    reader = mqtt.connect()
    reader.subscribe(topic)

    mqtt.connect(will=Will(topic)).disconnect()

    assert not reader.messages()


@statement(v3="3.1.2-10 3.1.2-12", v5="3.1.2-10")
def test_a_will_is_published_once(mqtt: Desk):
    topic = mqtt.topic("will")
    reader = mqtt.connect()
    reader.subscribe(topic)
    mqtt.connect("c", keep=True, will=Will(topic, b"first")).close()
    assert reader.message().payload == b"first"

    second = mqtt.connect("c", keep=True)
    second.send(frame(0xF3)).end()

    assert not reader.messages()


@pytest.mark.parametrize("qos", [0, 1, 2])
@statement(v3="3.1.2-16 3.1.2-14", v5="3.1.2-14 3.1.2-12")
def test_a_will_is_published_at_its_qos_and_not_retained(mqtt: Desk, qos):
    topic = mqtt.topic("will")
    reader = mqtt.connect()
    reader.subscribe(topic, qos=2)

    mqtt.connect(will=Will(topic, qos=qos)).close()

    assert reader.message().qos == qos
    late = mqtt.connect()
    late.subscribe(topic)
    assert not late.messages()


@statement(v3="3.1.2-17", v5="3.1.2-15")
def test_a_will_can_be_retained(mqtt: Desk):
    topic = mqtt.topic("will")
    reader = mqtt.connect()
    reader.subscribe(topic)

    mqtt.connect(will=Will(topic, b"kept", retain=True)).close()

    assert not reader.message().retain
    late = mqtt.connect()
    late.subscribe(topic)
    assert late.message().retain
    reader.publish(topic, b"", retain=True)


@statement(v3="3.1.4-2", v5="3.1.4-3")
def test_taking_over_a_connection_publishes_its_will(mqtt: Desk):
    topic = mqtt.topic("will")
    reader = mqtt.connect()
    reader.subscribe(topic)
    mqtt.connect("same", will=Will(topic, b"taken over"))

    mqtt.connect("same")

    assert reader.message().payload == b"taken over"


@statement(v5="3.1.2-8 3.14.4-3")
def test_a_client_can_leave_with_its_will_published(mqtt: Desk):
    topic = mqtt.topic("will")
    reader = mqtt.connect()
    reader.subscribe(topic)

    mqtt.connect(will=Will(topic, b"asked for")).disconnect(reason=0x04)

    assert reader.message().payload == b"asked for"


@statement(v5="3.1.2-8")
def test_a_delayed_will_waits_for_its_delay(mqtt: Desk):
    topic = mqtt.topic("will")
    reader = mqtt.connect()
    reader.subscribe(topic)
    will = Will(topic, b"late", properties=[(Prop.WILL_DELAY, 1)])
    client = mqtt.connect("c", keep=True, will=will)

    started = time.monotonic()
    client.close()

    assert reader.message().payload == b"late"
    assert time.monotonic() - started > 0.9


@statement(v5="3.1.3-9 3.1.2-8")
def test_whoever_comes_back_within_the_delay_leaves_no_will(mqtt: Desk):
    topic = mqtt.topic("will")
    reader = mqtt.connect()
    reader.subscribe(topic)
    will = Will(topic, b"never", properties=[(Prop.WILL_DELAY, 2)])
    mqtt.connect("c", keep=True, will=will).close()

    second = mqtt.connect("c", keep=True)
    later = Will(topic, b"another", properties=[(Prop.WILL_DELAY, 3)])
    other = mqtt.connect("other", keep=True, will=later)
    other.close()  # its will is due after the first one's time

    assert reader.message().payload == b"another"
    second.ping()


@statement(v5="3.1.2-8")
def test_the_end_of_the_session_ends_the_delay(mqtt: Desk):
    topic = mqtt.topic("will")
    reader = mqtt.connect()
    reader.subscribe(topic)
    will = Will(topic, b"now", properties=[(Prop.WILL_DELAY, 600)])

    mqtt.connect(will=will).close()  # its session ends with it

    assert reader.message().payload == b"now"


@statement(v5="3.1.3-10 3.1.2-9")
def test_a_will_carries_its_properties_in_order(mqtt: Desk):
    topic = mqtt.topic("will")
    reader = mqtt.connect()
    reader.subscribe(topic)
    pairs: list[tuple[int, Value]] = [
        (Prop.PAYLOAD_FORMAT, 1),
        (Prop.CONTENT_TYPE, "text/plain"),
        (Prop.RESPONSE_TOPIC, "answers/here"),
        (Prop.CORRELATION_DATA, b"\x00\xff"),
        (Prop.USER_PROPERTY, ("b", "1")),
        (Prop.USER_PROPERTY, ("a", "2")),
        (Prop.USER_PROPERTY, ("b", "3")),
    ]

    mqtt.connect(will=Will(topic, b"text", properties=pairs)).close()

    message = reader.message()
    assert sorted(map(repr, message.properties)) == sorted(map(repr, pairs))
    assert message.all(Prop.USER_PROPERTY) == [("b", "1"), ("a", "2"), ("b", "3")]
