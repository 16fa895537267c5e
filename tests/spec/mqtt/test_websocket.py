"""MQTT over WebSocket (chapter 6 of both versions)."""

import pytest

from tests.spec.mqtt import wire
from tests.spec.mqtt.conftest import Desk
from tests.spec.mqtt.peer import Peer
from tests.spec.mqtt.statement import statement
from tests.spec.mqtt.websocket import BINARY, CONTINUATION, PING, TEXT, WebSocketStream
from tests.spec.mqtt.wire import Kind, Publish

pytestmark = pytest.mark.integration


def open_stream(mqtt: Desk, protocols: str | None = "mqtt") -> WebSocketStream:
    if mqtt.target.websocket is None:
        pytest.skip("this broker was named without a WebSocket address")
    return WebSocketStream(mqtt.target.websocket, protocols=protocols)


def connected(mqtt: Desk) -> tuple[Peer, WebSocketStream]:
    stream = open_stream(mqtt)
    peer = mqtt.open(stream).send(wire.connect(mqtt.version, mqtt.name()))
    assert peer.expect(Kind.CONNACK).reason == 0
    return peer, stream


@pytest.mark.parametrize("offered", ["mqtt", "chat, mqtt", "mqtt, chat"])
@statement(v3="6.0.0-4", v5="6.0.0-4")
def test_the_server_selects_mqtt(mqtt: Desk, offered):
    stream = open_stream(mqtt, offered)

    assert stream.reply.status == 101
    assert stream.reply.headers["sec-websocket-protocol"] == "mqtt"
    stream.close()


@pytest.mark.parametrize("offered", [None, "chat"])
@statement(v3="6.0.0-3 6.0.0-4", v5="6.0.0-3 6.0.0-4")
def test_whoever_does_not_offer_mqtt_is_not_served_as_mqtt(mqtt: Desk, offered):
    stream = open_stream(mqtt, offered)

    assert stream.reply.status != 101 or "sec-websocket-protocol" not in stream.reply.headers
    stream.close()


@statement(v3="6.0.0-1", v5="6.0.0-1")
def test_answers_come_in_binary_frames(mqtt: Desk):
    topic = mqtt.topic("a")
    peer, _ = connected(mqtt)  # the stream refuses any other frame

    peer.subscribe(topic, qos=1)
    peer.publish(topic, b"\x80\xff", 1)

    assert peer.payloads() == [b"\x80\xff"]


@statement(v3="6.0.0-1", v5="6.0.0-1")
def test_a_text_frame_ends_the_connection(mqtt: Desk):
    peer, stream = connected(mqtt)

    stream.frame(TEXT, wire.PINGREQ.replace(b"\xc0", b"\x00"))

    assert not [p for p in peer.end() if getattr(p, "kind", None) != Kind.DISCONNECT]


@statement(v3="6.0.0-2", v5="6.0.0-2")
def test_packets_and_frames_need_not_begin_together(mqtt: Desk):
    topic = mqtt.topic("a")
    peer, stream = connected(mqtt)
    data = wire.subscribe(mqtt.version, 1, [(topic, 0)])
    data += b"".join(Publish(topic, b"%d" % n).encode(mqtt.version) for n in range(5))

    stream.send(data[:1])
    stream.frame(BINARY, data[1:9], final=False)
    stream.frame(PING, b"between fragments")
    stream.frame(CONTINUATION, b"", final=False)
    stream.frame(CONTINUATION, data[9:10])
    for index in range(10, 20):
        stream.send(data[index : index + 1])
    stream.send(data[20:])

    assert peer.expect(Kind.SUBACK).packet_id == 1
    assert peer.payloads() == [b"%d" % n for n in range(5)]


@statement(v3="6.0.0-2", v5="6.0.0-2")
def test_a_large_message_passes(mqtt: Desk):
    topic = mqtt.topic("a")
    peer, _ = connected(mqtt)
    peer.subscribe(topic, qos=1)

    peer.publish(topic, bytes(100_000), 1)

    assert peer.payloads() == [bytes(100_000)]


@statement(v3="4.8.0-1", v5="4.13.1-1")
def test_a_malformed_packet_ends_the_connection(mqtt: Desk):
    peer, _ = connected(mqtt)

    mqtt.broken(peer.send(b"\x80\x00"), 0x81)


@statement(v3="3.1.2-8", v5="3.1.2-8")
def test_a_lost_websocket_publishes_the_will(mqtt: Desk):
    topic = mqtt.topic("will")
    reader = mqtt.connect()
    reader.subscribe(topic)
    peer = mqtt.open(open_stream(mqtt))
    will = wire.Login(will=wire.Will(topic, b"lost"))
    peer.send(wire.connect(mqtt.version, mqtt.name(), will)).expect(Kind.CONNACK)

    peer.close()

    assert reader.message().payload == b"lost"


@statement(v3="4.2.0-1", v5="4.2.0-1")
def test_both_transports_carry_the_same_messages(mqtt: Desk):
    topic = mqtt.topic("a")
    over_tcp, (over_websocket, _) = mqtt.connect(), connected(mqtt)
    for peer in (over_tcp, over_websocket):
        peer.subscribe(topic, qos=2)

    over_tcp.publish(topic, b"tcp", 2)
    over_websocket.publish(topic, b"websocket", 2)

    for peer in (over_tcp, over_websocket):
        assert peer.payloads() == [b"tcp", b"websocket"]
