"""Whatever bytes come, a decoder returns a packet or tells that it is malformed."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from gateway.broker.codec.connect import decode_connect
from gateway.broker.codec.packets import Connect
from gateway.broker.codec.publish import decode_publish
from gateway.broker.codec.topic_rules import MalformedPacketError
from gateway.broker.codec.v3 import Mqtt311
from gateway.broker.codec.v5 import Mqtt5, PublishParts
from gateway.broker.codec.wire import frame_bounds
from tests.support import mqtt5
from tests.support.mqtt_peer import Mqtt

V3, V5 = Mqtt311(), Mqtt5(Connect(5), PublishParts())
VALID = [
    Mqtt.connect("user", will=("w/t", "gone")),
    Mqtt.publish("a/b", b"payload", 1, 7),
    Mqtt.subscribe("a/+/#", 1),
    Mqtt.frame(0xA2, b"\0\1" + Mqtt.text("a")),
    mqtt5.connect(
        "c",
        mqtt5.long(0x11, 60),
        mqtt5.word(0x21, 5),
        mqtt5.user("k", "v"),
        will=("w", "x"),
        will_properties=mqtt5.properties(mqtt5.long(0x18, 5), mqtt5.byte(1, 1)),
    ),
    mqtt5.publish("a", b"x", mqtt5.user("k", "v"), mqtt5.word(0x23, 4), mqtt5.long(2, 9), qos=2),
    mqtt5.subscribe("$share/g/a", 0x18, b"\x0b\x80\x01"),
    mqtt5.unsubscribe("a", "b"),
    mqtt5.ack(5, 7, 0x80),
    mqtt5.disconnect(4, mqtt5.long(0x11, 7), mqtt5.text(0x1F, "bye")),
]
DECODERS: list[Callable[[bytes], Any]] = [
    decode_connect,
    *(
        decode
        for version in (V3, V5)
        for decode in (
            version.decode_ack,
            version.decode_disconnect,
            lambda body, version=version: version.decode_subscribe(body, 9),
            lambda body, version=version: version.decode_unsubscribe(body, 9),
        )
    ),
    *(
        lambda body, first=first, five=five: decode_publish(
            first, body, 0, len(body), has_properties=five
        )
        for first in (0x30, 0x32, 0x35, 0x3C)
        for five in (False, True)
    ),
]


def body_of(packet: bytes) -> bytes:
    bounds = frame_bounds(packet, 0, 10**6)
    assert bounds is not None
    return packet[bounds[0] :]


@st.composite
def spoiled_bodies(draw: st.DrawFn) -> bytes:
    body = bytearray(body_of(draw(st.sampled_from(VALID))))
    for _ in range(draw(st.integers(0, 3))):
        position = draw(st.integers(0, max(0, len(body) - 1)))
        kind = draw(st.sampled_from(("change", "cut", "insert")))
        if kind == "cut":
            del body[position:]
        elif kind == "insert":
            body[position:position] = draw(st.binary(max_size=3))
        elif body:
            body[position] = draw(st.integers(0, 255))
    return bytes(body)


@given(body=st.one_of(spoiled_bodies(), st.binary(max_size=60)))
@settings(max_examples=300)
def test_any_body_is_a_packet_or_malformed(body):
    refused = []
    for decode in DECODERS:
        try:
            decode(body)
        except MalformedPacketError as error:
            refused.append(error)
    assert all(str(error) and error.reason.is_failure for error in refused)


@given(data=st.binary(max_size=12), limit=st.sampled_from((0, 100, 10**6)))
def test_any_header_is_bounded_or_malformed(data, limit):
    try:
        bounds = frame_bounds(data, 0, limit)
    except MalformedPacketError:
        return
    assert bounds is None or 2 <= bounds[0] <= bounds[1] <= bounds[0] + limit


@pytest.mark.parametrize("packet", VALID, ids=lambda packet: packet[:1].hex())
def test_the_valid_ones_are_understood(packet):
    kind = packet[0] >> 4
    version = V5 if packet in VALID[4:] else V3
    body = body_of(packet)
    if kind == 1:
        decode_connect(body)
    elif kind == 3:
        decode_publish(packet[0], body, 0, len(body), has_properties=version.has_reasons)
    elif kind == 5:
        assert version.decode_ack(body) == (7, 0x80)
    elif kind == 8:
        assert len(version.decode_subscribe(body, 9).asked) == 1
    elif kind == 10:
        assert version.decode_unsubscribe(body, 9).filters[0] == "a"
    else:
        assert version.decode_disconnect(body).expiry_s == 7
