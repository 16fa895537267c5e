"""Sessions: what is kept, what is resumed, what ends."""

import time

import pytest

from tests.spec.mqtt import wire
from tests.spec.mqtt.conftest import Desk
from tests.spec.mqtt.statement import statement
from tests.spec.mqtt.wire import V5, V311, Kind, Login, Prop

pytestmark = pytest.mark.integration


@statement(v3="3.1.2-4 3.2.2-2 4.1.0-1", v5="3.1.2-5 3.1.2-23 3.2.2-3")
def test_a_kept_session_is_resumed(mqtt: Desk):
    topic = mqtt.topic("a")
    first = mqtt.connect("c", keep=True)
    first.subscribe(topic, qos=1)
    first.disconnect()

    again, connack = mqtt.login("c", keep=True)

    assert connack.session_present
    mqtt.connect().publish(topic, b"live", 1)
    assert again.message().payload == b"live"


@statement(v3="3.1.2-4 3.2.2-3", v5="3.1.2-6 3.2.2-3")
def test_a_session_that_never_was_is_created(mqtt: Desk):
    _, connack = mqtt.login("fresh", keep=True)

    assert not connack.session_present


@pytest.mark.parametrize("how", ["disconnect", "close"])
@statement(v3="3.1.2-5 4.5.0-1 4.1.0-1", v5="3.1.2-23 4.5.0-1")
def test_messages_for_an_absent_client_wait(mqtt: Desk, how):
    topic = mqtt.topic("a")
    first = mqtt.connect("c", keep=True)
    first.subscribe(topic, qos=2)
    getattr(first, how)()
    writer = mqtt.connect()
    for qos in (1, 2):
        writer.publish(topic, b"%d" % qos, qos)

    again = mqtt.connect("c", keep=True)

    assert [(m.payload, m.qos, m.retain) for m in again.messages()] == [
        (b"1", 1, False),
        (b"2", 2, False),
    ]


@statement(v3="3.1.2-6 3.2.2-1 3.1.4-3", v5="3.1.2-4 3.2.2-2 3.1.4-4")
def test_a_clean_start_discards_the_session_before(mqtt: Desk):
    topic = mqtt.topic("a")
    first = mqtt.connect("c", keep=True)
    first.subscribe(topic, qos=1)
    first.disconnect()
    writer = mqtt.connect()
    writer.publish(topic, b"old", 1)

    second, connack = mqtt.login("c")

    assert not connack.session_present
    writer.publish(topic, b"new", 1)
    assert not second.messages()


@statement(v3="3.1.2-6 3.2.2-3", v5="4.1.0-2 3.2.2-3")
def test_a_session_not_kept_ends_with_its_connection(mqtt: Desk):
    topic = mqtt.topic("a")
    first = mqtt.connect("c")
    first.subscribe(topic, qos=1)
    first.disconnect()

    again, connack = mqtt.login("c", keep=True)

    assert not connack.session_present
    mqtt.connect().publish(topic, b"x", 1)
    assert not again.messages()


@statement(v3="3.1.2-7")
def test_retained_messages_outlive_the_session(mqtt: Desk):
    topic = mqtt.topic("a")
    writer = mqtt.connect()
    writer.publish(topic, b"kept", 1, retain=True)
    writer.disconnect()

    reader = mqtt.connect()
    reader.subscribe(topic)

    assert reader.message().payload == b"kept"
    reader.publish(topic, b"", retain=True)


@statement(v3="4.1.0-2", v5="4.1.0-1")
def test_a_session_lives_at_least_as_long_as_its_connection(mqtt: Desk):
    topic = mqtt.topic("a")
    reader, writer = mqtt.connect("c"), mqtt.connect()
    reader.subscribe(topic, qos=1)
    for number in range(50):
        writer.publish(topic, b"%d" % number, 1)

    assert [reader.message().payload for _ in range(50)] == [b"%d" % n for n in range(50)]


@statement(v3="3.1.2-4 4.5.0-1", v5="3.1.4-3 3.1.2-5")
def test_taking_over_keeps_the_session(mqtt: Desk):
    topic = mqtt.topic("a")
    first = mqtt.connect("c", keep=True)
    first.subscribe(topic, qos=1)
    mqtt.connect().publish(topic, b"unacknowledged", 1)
    assert first.unacknowledged().payload == b"unacknowledged"

    second, connack = mqtt.login("c", keep=True)

    assert connack.session_present
    message = second.message()
    assert (message.payload, message.dup) == (b"unacknowledged", True)


@statement(v5="4.1.0-2 3.1.2-23")
def test_a_session_expires_after_its_interval(mqtt: Desk):
    expiry = [(Prop.SESSION_EXPIRY, 1)]
    mqtt.connect("c", keep=True, pairs=expiry).disconnect()
    _, connack = mqtt.login("c", keep=True, pairs=expiry)
    assert connack.session_present
    mqtt.connect("c", keep=True, pairs=expiry).close()

    deadline = time.monotonic() + 10
    is_present = True
    while is_present and time.monotonic() < deadline:
        time.sleep(1.1)  # looking is connecting, and connecting keeps the session
        _, connack = mqtt.login("c", keep=True, pairs=expiry)
        is_present = connack.session_present
        mqtt.connect("c", keep=True, pairs=expiry).close()

    assert not is_present


@statement(v5="4.1.0-2")
def test_disconnect_may_end_a_kept_session(mqtt: Desk):
    mqtt.connect("c", keep=True).disconnect(pairs=[(Prop.SESSION_EXPIRY, 0)])

    _, connack = mqtt.login("c", keep=True)

    assert not connack.session_present


@statement(v5="3.1.2-23")
def test_disconnect_may_lengthen_a_kept_session(mqtt: Desk):
    first = mqtt.connect("c", keep=True, pairs=[(Prop.SESSION_EXPIRY, 1)])
    first.disconnect(pairs=[(Prop.SESSION_EXPIRY, 600)])
    time.sleep(1.5)

    _, connack = mqtt.login("c", keep=True)

    assert connack.session_present


@statement(v5="4.13.1-1")
def test_disconnect_cannot_keep_a_session_that_was_not_to_be_kept(mqtt: Desk):
    peer = mqtt.connect("c")

    peer.send(wire.disconnect(V5, 0, [(Prop.SESSION_EXPIRY, 600)]))

    mqtt.broken(peer, 0x82)
    _, connack = mqtt.login("c", keep=True)
    assert not connack.session_present


@statement(v5="3.1.2-23 3.1.2-5")
def test_both_versions_can_share_a_kept_session(mqtt: Desk):
    """One name, one session: whoever updates a device's library must not lose what waits."""
    topic = mqtt.topic("a")
    old = mqtt.open().send(wire.connect(V311, mqtt.name("c"), Login(is_clean=False)))
    old.version = V311
    assert old.expect(Kind.CONNACK).reason == 0
    old.subscribe(topic, qos=1)
    old.disconnect()
    mqtt.connect().publish(topic, b"waits", 1)

    new, connack = mqtt.login("c", keep=True)

    assert connack.session_present
    assert new.message().payload == b"waits"
