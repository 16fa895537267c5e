"""What a shared subscription gave to a session that ends goes to another member (MQTT 5 section 4.8.2)."""

from dataclasses import replace

from gateway.broker.changes import MessageQueued, SessionEnded
from gateway.broker.codec import wire
from gateway.broker.core import BrokerCore
from gateway.broker.message import Message
from tests.support import mqtt5
from tests.support.broker_script import LIMITS, READER, Clock, Journal, Script, make_core
from tests.support.mqtt import encode_ack

LASTING = mqtt5.long(0x11, 60)


def member(core: BrokerCore, name: str, *filters: str, lasts: bool = True, qos: int = 1) -> Script:
    properties = (LASTING,) if lasts else ()
    script = Script(core).connect(READER, mqtt5.connect(name, *properties))
    for topic_filter in filters or ("$share/g/t/+",):
        script.link.receive(mqtt5.subscribe(topic_filter, qos))
    script.take()
    return script


def publish(core: BrokerCore, text: str, qos: int = 1) -> None:
    core.route(Message("t/a", text.encode(), qos, is_retained=False), None, None)


def texts(script: Script) -> list[str]:
    """Return the payloads that came, each of one byte."""
    packets = [packet for packet in script.take() if packet[0] >> 4 == wire.PUBLISH]
    return [packet[-1:].decode() for packet in packets]


def test_unacknowledged_messages_go_to_another_member_in_order_when_the_connection_ends():
    core = make_core()
    first = member(core, "1", lasts=False)
    for text in "abc":
        publish(core, text)
    assert texts(first) == ["a", "b", "c"]
    first.link.receive(encode_ack(wire.PUBACK, 2))
    second = member(core, "2", lasts=False)

    first.close("lost")

    assert texts(second) == ["a", "c"]


def test_what_waited_for_a_client_that_never_came_back_goes_to_one_that_is_there():
    clock = Clock()
    core = make_core(clock=clock)
    member(core, "1").close("lost")
    for text in "ab":
        publish(core, text)
    second = member(core, "2")
    assert texts(second) == []

    clock.ms += 60_000
    core.tick()

    assert texts(second) == ["a", "b"]


def test_a_client_that_begins_anew_leaves_its_messages_to_the_others():
    core = make_core()
    member(core, "1").close("lost")
    publish(core, "a")
    second = member(core, "2")

    first = member(core, "1")  # Clean Start

    assert texts(second) == ["a"]
    assert texts(first) == []


def test_qos_2_goes_to_another_member_only_if_it_was_never_sent():
    core = make_core(replace(LIMITS, inflight_max=1))
    first = member(core, "1", qos=2)
    for text in "ab":
        publish(core, text, 2)
    assert texts(first) == ["a"]
    second = member(core, "2", qos=2)

    member(core, "1")  # Clean Start

    assert texts(second) == ["b"]


def test_a_message_that_came_by_two_subscriptions_goes_to_nobody_again():
    core = make_core()
    first = member(core, "1", "$share/g/t/+", "t/#", lasts=False)
    publish(core, "a")
    assert texts(first) == ["a", "a"]
    second = member(core, "2")

    first.close("lost")

    assert texts(second) == []


def test_other_groups_and_ordinary_subscribers_get_nothing():
    core = make_core()
    first = member(core, "1", lasts=False)
    publish(core, "a")
    others = [member(core, "2", "$share/h/t/+"), member(core, "3", "t/#")]

    first.close("lost")

    assert [texts(other) for other in others] == [[], []]


def test_a_member_that_is_full_takes_no_more_than_it_may():
    core = make_core(replace(LIMITS, queue_messages_max=3, inflight_max=1))
    first = member(core, "1")
    first.close("lost")
    for text in "abc":
        publish(core, text)
    second = member(core, "2")
    second.close("lost")
    for text in "def":
        publish(core, text)

    member(core, "1")  # Clean Start; who is away takes them if there is nobody else

    [session] = [one for one in core.sessions.all() if one.key[1] == "2"]
    assert session.held <= 3


def test_the_end_and_what_follows_from_it_are_one_commit():
    journal, clock = Journal(), Clock()
    core = make_core(journal=journal, clock=clock)
    member(core, "1").close("lost")
    publish(core, "a")
    member(core, "2")
    journal.take()

    clock.ms += 60_000
    core.tick()

    assert [type(change) for change in journal.take()] == [SessionEnded, MessageQueued]
