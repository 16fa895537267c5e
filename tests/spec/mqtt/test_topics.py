"""Topic names and filters: text, wildcards, `$` topics, no normalisation."""

import pytest

from tests.spec.mqtt import wire
from tests.spec.mqtt.conftest import Desk
from tests.spec.mqtt.peer import reasons_of
from tests.spec.mqtt.statement import statement
from tests.spec.mqtt.wire import V5, Answer, Kind, Publish

pytestmark = pytest.mark.integration

ILL_FORMED = {
    "surrogate": b"\xed\xa0\x80",
    "pair of surrogates": b"\xed\xa0\x81\xed\xb0\x80",
    "overlong": b"\xc1\x81",
    "beyond Unicode": b"\xf4\x90\x80\x80",
    "cut short": b"\xe2\x82",
    "stray": b"\x80",
}


@pytest.mark.parametrize("name", ILL_FORMED)
@statement(v3="1.5.3-1", v5="1.5.4-1 1.5.7-1")
def test_ill_formed_text_ends_the_connection(mqtt: Desk, name):
    bad = ILL_FORMED[name]
    peers = [
        mqtt.connect().send(Publish(b"a/" + bad).encode(mqtt.version)),
        mqtt.connect().send(wire.subscribe(mqtt.version, 1, [(b"a/" + bad, 0)])),
    ]
    if mqtt.version == V5:
        pair = bytes((0x26,)) + wire.text("name") + wire.text(bad)
        body = wire.text(mqtt.topic("a")) + wire.varint(len(pair)) + pair
        peers.append(mqtt.connect().send(wire.frame(0x30, body)))

    for peer in peers:
        mqtt.broken(peer, 0x81)


@statement(v3="1.5.3-2 4.7.3-2", v5="1.5.4-2 4.7.3-2")
def test_a_null_character_ends_the_connection(mqtt: Desk):
    for data in (
        Publish("a\0b").encode(mqtt.version),
        wire.subscribe(mqtt.version, 1, [("a\0b", 0)]),
        wire.unsubscribe(mqtt.version, 1, ["a\0b"]),
    ):
        mqtt.broken(mqtt.connect().send(data), 0x81)
    mqtt.refused(wire.connect(mqtt.version, "a\0b"))


@statement(v3="1.5.3-3", v5="1.5.4-3")
def test_a_byte_order_mark_is_a_character(mqtt: Desk):
    marked, plain = mqtt.topic("\ufeffa"), mqtt.topic("a")
    reader = mqtt.connect()
    reader.subscribe(marked)

    reader.publish(plain, b"plain")
    reader.publish(marked, b"marked")

    assert [(m.topic, m.payload) for m in reader.messages()] == [(marked, b"marked")]


@statement(v3="4.7.3-1", v5="4.7.3-1")
def test_topics_and_filters_are_not_empty(mqtt: Desk):
    for data in (
        Publish("").encode(mqtt.version),
        wire.subscribe(mqtt.version, 1, [("", 0)]),
        wire.unsubscribe(mqtt.version, 1, [""]),
    ):
        peer = mqtt.connect().send(data)
        told = reasons_of(peer.end(), Kind.DISCONNECT)
        assert all(reason >= 0x80 for reason in told)


@pytest.mark.parametrize("name", ["a#", "a/#/b", "#/", "##", "a/b#", "#a"])
@statement(v3="4.7.1-2", v5="4.7.1-1")
def test_a_multi_level_wildcard_stands_alone_and_last(mqtt: Desk, name):
    assert_not_granted(mqtt, mqtt.topic(name))


@pytest.mark.parametrize("name", ["a+", "+a", "a/+b/c", "++", "a+/b"])
@statement(v3="4.7.1-3", v5="4.7.1-2")
def test_a_single_level_wildcard_stands_alone_in_its_level(mqtt: Desk, name):
    assert_not_granted(mqtt, mqtt.topic(name))


def assert_not_granted(mqtt: Desk, name: str) -> None:
    """A failure code for this filter, or the end of the connection."""
    peer = mqtt.connect().send(wire.subscribe(mqtt.version, 1, [(name, 0)]), wire.PINGREQ)

    answer = peer.raw()

    if answer and answer[0] >> 4 == Kind.SUBACK:
        assert answer[-1] >= 0x80
    else:
        assert not answer or answer[0] >> 4 == Kind.DISCONNECT
        assert peer.raw() == b""


MATCHES = [
    ("a/b/c", "a/b/c", True),
    ("a/b/c", "a/b", False),
    ("a/b", "a/b/c", False),
    ("#", "a", True),
    ("#", "a/b/c", True),
    ("a/#", "a", True),
    ("a/#", "a/b/c", True),
    ("a/#", "ab", False),
    ("+", "a", True),
    ("+", "a/b", False),
    ("+/+", "a/b", True),
    ("+/+", "/b", True),
    ("/+", "/b", True),
    ("a/+/c", "a//c", True),
    ("a/+/c", "a/b/c", True),
    ("a/+/c", "a/c", False),
    ("a/+", "a/", True),
    ("a/+", "a", False),
    ("a/+/#", "a/b", True),
    ("a/+/#", "a", False),
]


@statement(v3="3.3.2-3 4.7.1-2 4.7.1-3", v5="3.3.2-3 4.7.1-1 4.7.1-2")
def test_filters_match_as_the_standard_says(mqtt: Desk):
    reader, writer = mqtt.connect(), mqtt.connect()
    for number, (topic_filter, topic, matches) in enumerate(MATCHES):
        own = mqtt.topic(f"{number}/{topic_filter}")
        assert reader.subscribe(own) == (0,)

        writer.publish(mqtt.topic(f"{number}/{topic}"))

        assert [m.topic for m in reader.messages()] == (
            [mqtt.topic(f"{number}/{topic}")] if matches else []
        ), (topic_filter, topic)
        reader.unsubscribe(own)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a/b", "a//b"),
        ("a", "a/"),
        ("a", "A"),
        ("a b", "ab"),
        ("caf\u00e9", "cafe\u0301"),
        ("a\u200b", "a"),
        ("x/../a", "a"),
    ],
)
@statement(v3="4.7.3-4", v5="4.7.3-4")
def test_names_are_compared_as_they_are(mqtt: Desk, one, other):
    reader = mqtt.connect()
    reader.subscribe(mqtt.topic(one))

    reader.publish(mqtt.topic(other), b"other")
    reader.publish(mqtt.topic(one), b"one")

    assert reader.payloads() == [b"one"]


@pytest.mark.parametrize("topic_filter", ["#", "+/{}", "+/#"])
@statement(v3="4.7.2-1", v5="4.7.2-1")
def test_a_wildcard_in_front_does_not_match_dollar_topics(mqtt: Desk, topic_filter):
    own = mqtt.topic("a").replace("/", "-")
    reader, writer = mqtt.connect(), mqtt.connect()
    assert reader.subscribe(topic_filter.format(own)) == (0,)

    for topic in (f"$test/{own}", f"plain/{own}"):
        # A server may refuse to carry `$` topics of clients at all; that is no match either.
        writer.publish(topic)

    found = [m.topic for m in reader.messages() if isinstance(m.topic, str) and own in m.topic]
    assert found == [f"plain/{own}"]


@statement(v3="4.7.3-4", v5="4.7.3-4")
def test_non_characters_and_emoji_pass_unchanged(mqtt: Desk):
    reader = mqtt.connect()
    topic = mqtt.topic("\U0001f50c/\u4e2d\u6587/\u05d0")
    reader.subscribe(mqtt.topic("#"))

    reader.publish(topic, b"x")

    assert [m.topic for m in reader.messages()] == [topic]


@statement(v3="4.8.0-1", v5="4.13.1-1")
@pytest.mark.parametrize("kind", [Kind.CONNACK, Kind.SUBACK, Kind.UNSUBACK, Kind.PINGRESP])
def test_what_only_servers_send_ends_the_connection(mqtt: Desk, kind):
    bodies = {Kind.CONNACK: b"\0\0", Kind.SUBACK: b"\0\1\0", Kind.UNSUBACK: b"\0\1"}

    peer = mqtt.connect().send(wire.frame(kind << 4, bodies.get(kind, b"")))

    assert not [p for p in peer.end() if isinstance(p, Answer) and p.kind != Kind.DISCONNECT]
