"""What users see with an ordinary client library."""

import pytest

pytestmark = pytest.mark.integration

UP = "ss/v1/gw1/dev/meter/up"


@pytest.mark.parametrize("published", [0, 1, 2])
@pytest.mark.parametrize("subscribed", [0, 1, 2])
def test_delivery_is_at_the_lower_of_both_qos(paho, published, subscribed):
    reader, writer = paho("service"), paho("service")
    assert reader.subscribe("a/#", subscribed) == [subscribed]

    writer.publish("a/b", b"x", published)

    message = reader.next()
    assert (message.payload, message.qos, message.retain) == (
        b"x",
        min(published, subscribed),
        False,
    )


def test_many_messages_arrive_all_and_in_order_at_every_qos(paho):
    reader, writer = paho("service"), paho("service")
    for qos in (0, 1, 2):
        topic = f"bulk/{qos}"
        reader.subscribe(topic, qos)
        for number in range(200):
            writer.client.publish(topic, b"%d" % number, qos)

        assert [reader.next().payload for _ in range(200)] == [b"%d" % n for n in range(200)]


def test_a_large_message_goes_through(paho):
    reader, writer = paho("service"), paho("service")
    reader.subscribe("big", 1)

    writer.publish("big", bytes(250_000))

    assert reader.next().payload == bytes(250_000)


def test_offline_messages_wait_for_a_kept_session_and_are_not_marked_retained(paho):
    reader = paho("service", "keeper", clean=False)
    reader.subscribe("a", 1)
    reader.stop()
    paho("service").publish("a", b"meanwhile")

    reader = paho("service", "keeper", clean=False)

    assert reader.session_present is True
    message = reader.next()
    assert (message.payload, message.qos, message.retain) == (b"meanwhile", 1, False)


def test_a_clean_session_keeps_nothing(paho):
    reader = paho("service", "keeper", clean=False)
    reader.subscribe("a", 1)
    reader.stop()

    paho("service", "keeper", clean=True).stop()

    assert paho("service", "keeper", clean=False).session_present is False


def test_retained_messages_come_with_the_flag_and_are_removed_by_an_empty_one(paho):
    writer = paho("service")
    writer.publish("a/1", b"kept", retain=True)
    writer.publish("a/2", b"gone", retain=True)
    writer.publish("a/2", b"", retain=True)

    reader = paho("service")
    reader.subscribe("a/#", 1)

    message = reader.next()
    assert (message.topic, message.payload, message.retain) == ("a/1", b"kept", True)
    writer.publish("a/1", b"live", retain=True)
    message = reader.next()
    assert (message.payload, message.retain) == (b"live", False)


def test_a_reading_is_stored_routed_and_retained_like_any_message(paho, broker):
    reader = paho("service")
    reader.subscribe("ss/v1/gw1/dev/+/up", 1)

    paho("meter").publish(UP, b"1", retain=True)

    assert reader.next().payload == b"1"
    assert [message.payload for message in broker.sink.stored] == [b"1"]
    late = paho("service")
    late.subscribe(UP, 1)
    assert late.next().retain


def test_the_gateway_itself_publishes_and_listens(paho, broker):
    reader = paho("service")
    reader.subscribe("news", 1)
    heard: list[tuple[str, bytes]] = []
    broker.run(lambda: broker.broker.add_listener("ask/+", lambda t, p: heard.append((t, p))))

    broker.run(lambda: broker.broker.publish("news", b"hello", retain=True))
    assert reader.next().payload == b"hello"
    reader.publish("ask/me", b"?", 2)

    assert heard == [("ask/me", b"?")]
