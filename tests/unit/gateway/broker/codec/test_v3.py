"""Decoding: each well-formed packet once, then each way to be malformed, one field at a time."""

import pytest
from hypothesis import given, strategies as st

from gateway.broker.codec import wire
from gateway.broker.codec.connect import decode_connect
from gateway.broker.codec.packets import Welcome, Will
from gateway.broker.codec.reasons import Reason
from gateway.broker.codec.topic_rules import MalformedPacketError, decode_text
from gateway.broker.codec.v3 import Mqtt311
from gateway.broker.message import Message, Subscription
from tests.support.mqtt import encode_publish

MQTT = Mqtt311()


def text(value: bytes) -> bytes:
    return len(value).to_bytes(2, "big") + value


HEAD = text(b"MQTT") + b"\x04"


def test_a_full_connect():
    body = HEAD + b"\xee\x00\x3c" + text(b"cid") + text(b"w/t") + text(b"bye") + text(b"user")
    body += text(b"\xff\x00pw")

    connect = decode_connect(body)

    assert (connect.client_id, connect.username, connect.password) == ("cid", "user", b"\xff\x00pw")
    assert (connect.is_clean, connect.keep_alive_s) == (True, 60)
    assert connect.will == Will("w/t", b"bye", 1, retain=True)


def test_a_password_is_not_in_the_representation():
    connect = decode_connect(HEAD + b"\xc2\0\0" + text(b"c") + text(b"u") + text(b"secret"))

    assert "secret" not in repr(connect)


def test_a_bridge_says_so_in_its_protocol_level_and_subscribes_accordingly():
    connect = decode_connect(text(b"MQTT") + b"\x84\x02\0\0" + text(b"c"))
    body = b"\0\1" + text(b"a/#") + b"\1"

    assert (connect.level, connect.is_bridge) == (4, True)
    assert Mqtt311(is_bridge=True).decode_subscribe(body, 1).asked == (
        ("a/#", Subscription(1, is_no_local=True, is_retain_as_published=True)),
    )
    assert decode_connect(text(b"MQTT") + b"\x85whatever").level == 0x85


def test_another_protocol_level_is_told_apart_from_malformed():
    assert decode_connect(text(b"MQTT") + b"\x06whatever").level == 6


@pytest.mark.parametrize(
    "body",
    [
        b"",
        text(b"MQIsdp") + b"\x03\x02\0\0" + text(b"c"),
        HEAD,
        HEAD + b"\x03\0\0" + text(b"c"),  # reserved flag
        HEAD + b"\x42\0\0" + text(b"c") + text(b"pw"),  # password without user
        HEAD + b"\x0a\0\0" + text(b"c"),  # will QoS without will
        HEAD + b"\x22\0\0" + text(b"c"),  # will retain without will
        HEAD + b"\x1e\0\0" + text(b"c") + text(b"t") + text(b""),  # will QoS 3
        HEAD + b"\x06\0\0" + text(b"c") + text(b"a/#") + text(b""),  # will topic with wildcard
        HEAD + b"\x06\0\0" + text(b"c") + text(b"") + text(b""),  # empty will topic
        HEAD + b"\x02\0\0" + text(b"c") + b"x",  # trailing byte
        HEAD + b"\x82\0\0" + text(b"c"),  # user name missing
        HEAD + b"\x02\0\0" + b"\0\5abc",  # length beyond the body
        HEAD + b"\x02\0\0" + text(b"a\0b"),
        HEAD + b"\x02\0\0" + text(b"\xff"),
    ],
)
def test_a_malformed_connect(body):
    with pytest.raises(MalformedPacketError):
        decode_connect(body)


@pytest.mark.parametrize(
    "raw",
    [b"\0", b"a\0", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80", b"\xf8\x88\x80\x80\x80"],
    ids=["null", "null after", "cut short", "surrogate", "overlong null", "five bytes"],
)
def test_a_malformed_string(raw):
    with pytest.raises(MalformedPacketError):
        decode_text(raw)


def test_a_byte_order_mark_is_text():
    assert decode_text(b"\xef\xbb\xbf") == "\ufeff"


def test_subscribe_and_unsubscribe():
    request = MQTT.decode_subscribe(b"\0\7" + text(b"a/#") + b"\1" + text(b"+") + b"\0", 9)
    assert request.packet_id == 7
    assert request.asked == (("a/#", Subscription(1)), ("+", Subscription(0)))
    unsubscribe = MQTT.decode_unsubscribe(b"\0\7" + text(b"a/#"), 9)
    assert (unsubscribe.packet_id, unsubscribe.filters) == (7, ("a/#",))


@pytest.mark.parametrize(
    "body",
    [
        b"\0\7",
        b"\0\0" + text(b"a") + b"\1",
        b"\0\7" + text(b"a") + b"\3",
        b"\0\7" + text(b"a"),
        b"\0\7" + text(b"") + b"\0",
        b"\0\7" + text(b"a/#/b") + b"\0",
        b"\0\7" + text(b"a#") + b"\0",
        b"\0\7" + text(b"a/b+") + b"\0",
        b"\0\7" + text(b"\xff") + b"\0",
        b"\0\7" + text(b"a\0") + b"\0",
    ],
)
def test_a_malformed_subscribe(body):
    with pytest.raises(MalformedPacketError):
        MQTT.decode_subscribe(body, 9)


@pytest.mark.parametrize("body", [b"\0\7", b"\0\0" + text(b"a"), b"\0\7" + text(b"#/a"), b"\0"])
def test_a_malformed_unsubscribe(body):
    with pytest.raises(MalformedPacketError):
        MQTT.decode_unsubscribe(body, 9)


@pytest.mark.parametrize("body", [b"", b"\1", b"\0\0", b"\0\1\0"])
def test_a_malformed_acknowledgement(body):
    with pytest.raises(MalformedPacketError):
        MQTT.decode_ack(body)


def test_a_frame_is_measured_from_its_header():
    assert wire.frame_bounds(b"\x30\x02ab", 0, 10) == (2, 4)
    assert wire.frame_bounds(b"..\x30\x80\x01", 2, 200) == (5, 133)
    assert wire.frame_bounds(b"\x30", 0, 10) is None
    assert wire.frame_bounds(b"\x30\x80", 0, 10) is None


def test_a_frame_beyond_the_limit_is_refused_before_its_body_comes():
    with pytest.raises(MalformedPacketError, match="limit is 10"):
        wire.frame_bounds(b"\x30\x0b", 0, 10)


def test_a_length_of_five_bytes_is_refused():
    with pytest.raises(MalformedPacketError):
        wire.frame_bounds(b"\x30\xff\xff\xff\xff\x01", 0, 10**9)


@given(
    topic=st.text(st.characters(codec="utf-8", exclude_characters="\0+#"), min_size=1, max_size=40),
    payload=st.binary(max_size=20_000),
    qos=st.integers(0, 2),
)
def test_a_publish_is_framed_for_any_topic_and_size(topic, payload, qos):
    encoded = encode_publish(Message(topic, payload, qos, True), qos, 513, is_dup=qos > 0)

    bounds = wire.frame_bounds(encoded, 0, len(encoded))

    assert bounds is not None
    assert bounds[1] == len(encoded)
    raw = topic.encode()
    packet_id = b"\2\1" if qos else b""
    assert encoded[bounds[0] :] == text(raw) + packet_id + payload
    assert encoded[0] == 0x31 | qos << 1 | (8 if qos else 0)


def test_answers_by_amqtts_encoders():
    welcome = Welcome(is_session_present=True, receive_max=9, packet_bytes_max=9, topic_alias_max=9)
    assert MQTT.encode_welcome(welcome) == b"\x20\2\1\0"
    assert MQTT.encode_refusal(Reason.NOT_AUTHORIZED) == b"\x20\2\0\5"
    assert MQTT.encode_refusal(Reason.UNSUPPORTED_PROTOCOL_VERSION) == b"\x20\2\0\1"
    assert MQTT.encode_suback(258, [0, 1, 2, Reason.QUOTA_EXCEEDED]) == b"\x90\6\1\2\0\1\2\x80"
    assert MQTT.encode_unsuback(258, [Reason.SUCCESS]) == b"\xb0\2\1\2"
    assert MQTT.encode_farewell(Reason.SERVER_BUSY) == b""


def test_the_number_of_filters_in_one_packet_is_limited():
    three = text(b"a") + b"\0"
    assert len(MQTT.decode_subscribe(b"\0\7" + three * 3, 3).asked) == 3
    with pytest.raises(MalformedPacketError, match="more than 3 topic filters"):
        MQTT.decode_subscribe(b"\0\7" + three * 4, 3)
    with pytest.raises(MalformedPacketError, match="more than 3 topic filters"):
        MQTT.decode_unsubscribe(b"\0\7" + text(b"a") * 4, 3)
