"""MQTT 3.1.1 packets. amqtt's encoders write the rare ones; those sent per message are written here.

One `Mqtt311` serves all connections but bridges: a PUBLISH is encoded once for all that get it at
one QoS.
"""

from collections.abc import Sequence
from typing import Final

from amqtt.mqtt.connack import ConnackPacket
from amqtt.mqtt.suback import SubackPacket
from amqtt.mqtt.unsuback import UnsubackPacket

from gateway.broker.changes import Delivery
from gateway.broker.codec.packets import Disconnect, Subscribe, Unsubscribe, Welcome
from gateway.broker.codec.reasons import Reason, connack_code_3_1_1
from gateway.broker.codec.topic_rules import MalformedPacketError, decode_topic_filter
from gateway.broker.codec.wire import (
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    REQUIRED_FLAGS,
    Fields,
    check_filter_count,
    decode_filters,
    encode_blob,
    encode_length,
    nonzero_packet_id,
)
from gateway.broker.message import Message, Subscription

_SUBSCRIPTION_REFUSED: Final = 0x80
_ACK_HEADERS: Final = {
    kind: bytes((kind << 4 | REQUIRED_FLAGS.get(kind, 0), 2))
    for kind in (PUBACK, PUBREC, PUBREL, PUBCOMP)
}
_DUP: Final = 0x08


class Mqtt311:
    """The `Version` of a client of level 4."""

    has_reasons = False

    def __init__(self, *, is_bridge: bool = False) -> None:
        self._is_bridge = is_bridge
        self._message: Message | None = None
        self._parts: dict[int, tuple[bytes, bytes]] = {}

    def decode_ack(self, body: bytes) -> tuple[int, int]:
        """Return packet id and success: there are no reasons."""
        if len(body) != 2:
            raise MalformedPacketError("an acknowledgement is not 2 bytes long")
        return nonzero_packet_id(body[0] << 8 | body[1]), Reason.SUCCESS

    def decode_subscribe(self, body: bytes, filters_max: int) -> Subscribe:
        """Decode SUBSCRIBE; one without a filter is malformed [MQTT-3.8.3-3]."""
        fields = Fields(body)
        packet_id = nonzero_packet_id(fields.word())
        asked: list[tuple[str, Subscription]] = []
        while fields.has_more():
            topic_filter = decode_topic_filter(fields.blob())
            qos = fields.byte()
            if qos > 2:
                raise MalformedPacketError("a requested QoS above 2 [MQTT-3.8.3-4]")
            asked.append((topic_filter, Subscription(qos, self._is_bridge, self._is_bridge)))
            check_filter_count(len(asked), filters_max)
        if not asked:
            raise MalformedPacketError("SUBSCRIBE without a topic filter [MQTT-3.8.3-3]")
        return Subscribe(packet_id, tuple(asked))

    def decode_unsubscribe(self, body: bytes, filters_max: int) -> Unsubscribe:
        """Decode UNSUBSCRIBE; one without a filter is malformed [MQTT-3.10.3-2]."""
        fields = Fields(body)
        packet_id = nonzero_packet_id(fields.word())
        return Unsubscribe(packet_id, decode_filters(fields, filters_max))

    def decode_disconnect(self, body: bytes) -> Disconnect:
        """Decode DISCONNECT, which is empty."""
        if body:
            raise MalformedPacketError("DISCONNECT with a body [MQTT-3.14.1-1]")
        return Disconnect()

    def encode_welcome(self, welcome: Welcome) -> bytes:
        """Encode CONNACK, return code 0."""
        return bytes(ConnackPacket.build(int(welcome.is_session_present), 0).to_bytes())

    def encode_refusal(self, reason: Reason) -> bytes:
        """Encode CONNACK; a refusal never tells of a session [MQTT-3.2.2-4]."""
        return bytes(ConnackPacket.build(0, connack_code_3_1_1(reason)).to_bytes())

    def encode_suback(self, packet_id: int, results: Sequence[int]) -> bytes:
        """Encode SUBACK with one return code per filter, in order [MQTT-3.9.3-1]."""
        codes = [min(result, _SUBSCRIPTION_REFUSED) for result in results]
        return bytes(SubackPacket.build(packet_id, codes).to_bytes())

    def encode_unsuback(self, packet_id: int, results: Sequence[Reason]) -> bytes:
        """Encode UNSUBACK, which tells no results."""
        del results
        return bytes(UnsubackPacket.build(packet_id).to_bytes())

    def encode_ack(self, kind: int, packet_id: int, reason: Reason, detail: str = "") -> bytes:
        """Encode an acknowledgement: it has no place for reasons."""
        del reason, detail
        return _ACK_HEADERS[kind] + packet_id.to_bytes(2, "big")

    def encode_farewell(self, reason: Reason) -> bytes:
        """Return nothing: a server just closes."""
        del reason
        return b""

    def encode_publish(self, delivery: Delivery, now_ms: int, *, is_dup: bool) -> bytes:
        """Encode PUBLISH."""
        del now_ms
        message, qos = delivery.message, delivery.qos
        if message is not self._message:
            self._message, self._parts = message, {}
        flags = is_dup * _DUP | qos << 1 | delivery.is_retained
        parts = self._parts.get(flags)
        if parts is None:
            parts = self._parts[flags] = _encode_parts(message, flags, qos)
        head, tail = parts
        return head + delivery.packet_id.to_bytes(2, "big") + tail if qos else head


def _encode_parts(message: Message, flags: int, qos: int) -> tuple[bytes, bytes]:
    """Return what comes before and after the packet id; at QoS 0, the whole packet and nothing."""
    topic = encode_blob(message.topic.encode())
    length = len(topic) + len(message.payload) + (2 if qos else 0)
    head = bytes((PUBLISH << 4 | flags,)) + encode_length(length) + topic
    return (head, message.payload) if qos else (head + message.payload, b"")
