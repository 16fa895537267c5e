"""MQTT 3.1.1 packets as bytes. Anything the standard forbids raises `MalformedPacketError`.

Decoding is done here and strictly: amqtt's decoders let ill-formed UTF-8 and trailing bytes pass.
amqtt's encoders write the packets that are rare; those sent per message are written here.
"""

from typing import Final

import msgspec
from amqtt.mqtt.connack import ConnackPacket
from amqtt.mqtt.suback import SubackPacket
from amqtt.mqtt.unsuback import UnsubackPacket

from gateway.broker.message import Message
from gateway.broker.topic_rules import (
    MalformedPacketError,
    decode_text,
    decode_topic_filter,
    decode_topic_name,
)

CONNECT: Final = 1
PUBLISH: Final = 3
PUBACK: Final = 4
PUBREC: Final = 5
PUBREL: Final = 6
PUBCOMP: Final = 7
SUBSCRIBE: Final = 8
UNSUBSCRIBE: Final = 10
PINGREQ: Final = 12
DISCONNECT: Final = 14

REQUIRED_FLAGS: Final = {PUBREL: 2, SUBSCRIBE: 2, UNSUBSCRIBE: 2}  # all others 0 [MQTT-2.2.2-2]
PROTOCOL_LEVEL: Final = 4  # MQTT 3.1.1
PINGRESP: Final = b"\xd0\x00"
ACCEPTED: Final = 0
BAD_PROTOCOL_LEVEL: Final = 1
IDENTIFIER_REJECTED: Final = 2
SERVER_UNAVAILABLE: Final = 3
NOT_AUTHORIZED: Final = 5
SUBSCRIPTION_REFUSED: Final = 0x80

_ACK_HEADERS: Final = {
    kind: bytes((kind << 4 | REQUIRED_FLAGS.get(kind, 0), 2))
    for kind in (PUBACK, PUBREC, PUBREL, PUBCOMP)
}
_LENGTH_BYTES_MAX = 4


class Will(msgspec.Struct, frozen=True, gc=False):
    """What to publish when a connection ends without DISCONNECT."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


class Connect(msgspec.Struct, frozen=True):
    """A CONNECT packet. `level` other than 4 leaves the other fields empty."""

    level: int
    client_id: str = ""
    is_clean: bool = True
    keep_alive_s: int = 0
    username: str = ""
    password: bytes = b""
    will: Will | None = None

    def __repr__(self) -> str:
        """Leave the password out: representations end up in logs."""
        return f"Connect(client_id={self.client_id!r}, username={self.username!r})"


class _Fields:
    """The fields of one packet body, read in order; reading past the end is malformed."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._position = 0

    def take(self, count: int) -> bytes:
        end = self._position + count
        if end > len(self._body):
            raise MalformedPacketError("a packet ends inside a field")
        taken = self._body[self._position : end]
        self._position = end
        return taken

    def byte(self) -> int:
        return self.take(1)[0]

    def word(self) -> int:
        return int.from_bytes(self.take(2), "big")

    def blob(self) -> bytes:
        return self.take(self.word())

    def has_more(self) -> bool:
        return self._position < len(self._body)

    def finish(self) -> None:
        if self.has_more():
            raise MalformedPacketError("bytes follow the last field of a packet")


def frame_bounds(data: bytes, start: int, limit: int) -> tuple[int, int] | None:
    """Return where the body of the packet at `start` begins and ends, None if that is not known yet.

    The end may lie beyond `data`. A body longer than `limit` bytes is refused from its header.
    """
    length = 0
    position = start + 1
    if position < len(data) and data[position] <= min(0x7F, limit):
        return position + 1, position + 1 + data[position]  # most packets are this short
    for shift in range(0, 7 * _LENGTH_BYTES_MAX, 7):
        if position >= len(data):
            return None
        byte = data[position]
        position += 1
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            if length > limit:
                raise MalformedPacketError(f"a packet of {length} bytes; the limit is {limit}")
            return position, position + length
    raise MalformedPacketError("a remaining length of more than 4 bytes")


def decode_connect(body: bytes) -> Connect:
    """Decode a CONNECT body (MQTT 3.1.1 section 3.1)."""
    fields = _Fields(body)
    if fields.blob() != b"MQTT":
        raise MalformedPacketError("the protocol name is not MQTT")
    level = fields.byte()
    if level != PROTOCOL_LEVEL:
        return Connect(level)
    flags = fields.byte()
    _check_connect_flags(flags)
    keep_alive_s = fields.word()
    client_id = decode_text(fields.blob())
    will = _decode_will(fields, flags) if flags & 0x04 else None
    username = decode_text(fields.blob()) if flags & 0x80 else ""
    password = fields.blob() if flags & 0x40 else b""
    fields.finish()
    return Connect(level, client_id, bool(flags & 0x02), keep_alive_s, username, password, will)


def _check_connect_flags(flags: int) -> None:
    if flags & 0x01:
        raise MalformedPacketError("CONNECT's reserved flag is set [MQTT-3.1.2-3]")
    if flags & 0x40 and not flags & 0x80:
        raise MalformedPacketError("a password without a user name [MQTT-3.1.2-22]")
    if flags & 0x18 == 0x18 or (not flags & 0x04 and flags & 0x38):
        raise MalformedPacketError("will flags contradict each other [MQTT-3.1.2-11..15]")


def _decode_will(fields: _Fields, flags: int) -> Will:
    topic = decode_topic_name(fields.blob())
    return Will(topic, fields.blob(), (flags >> 3) & 3, bool(flags & 0x20))


def decode_packet_id(body: bytes) -> int:
    """Decode the body of PUBACK, PUBREC, PUBREL or PUBCOMP: a packet id and nothing else."""
    if len(body) != 2:
        raise MalformedPacketError("an acknowledgement is not 2 bytes long")
    return _nonzero(body[0] << 8 | body[1])


def _nonzero(packet_id: int) -> int:
    if packet_id == 0:
        raise MalformedPacketError("packet id 0 [MQTT-2.3.1-1]")
    return packet_id


def decode_subscribe(body: bytes, filters_max: int) -> tuple[int, list[tuple[str, int]]]:
    """Return packet id and (filter, QoS) pairs, 1 [MQTT-3.8.3-3] to `filters_max` of them."""
    fields = _Fields(body)
    packet_id = _nonzero(fields.word())
    asked: list[tuple[str, int]] = []
    while fields.has_more():
        topic_filter = decode_topic_filter(fields.blob())
        qos = fields.byte()
        if qos > 2:
            raise MalformedPacketError("a requested QoS above 2 [MQTT-3.8.3-4]")
        asked.append((topic_filter, qos))
        _check_filter_count(len(asked), filters_max)
    if not asked:
        raise MalformedPacketError("SUBSCRIBE without a topic filter [MQTT-3.8.3-3]")
    return packet_id, asked


def _check_filter_count(count: int, filters_max: int) -> None:
    if count > filters_max:
        raise MalformedPacketError(f"more than {filters_max} topic filters in one packet")


def decode_unsubscribe(body: bytes, filters_max: int) -> tuple[int, list[str]]:
    """Return packet id and filters, 1 [MQTT-3.10.3-2] to `filters_max` of them."""
    fields = _Fields(body)
    packet_id = _nonzero(fields.word())
    filters: list[str] = []
    while fields.has_more():
        filters.append(decode_topic_filter(fields.blob()))
        _check_filter_count(len(filters), filters_max)
    if not filters:
        raise MalformedPacketError("UNSUBSCRIBE without a topic filter [MQTT-3.10.3-2]")
    return packet_id, filters


def encode_connack(code: int, *, session_present: bool = False) -> bytes:
    """Encode CONNACK; a refusal never tells of a session [MQTT-3.2.2-4]."""
    return bytes(ConnackPacket.build(int(session_present and code == ACCEPTED), code).to_bytes())


def encode_suback(packet_id: int, granted: list[int]) -> bytes:
    """Encode SUBACK with one return code per filter, in order [MQTT-3.9.3-1]."""
    return bytes(SubackPacket.build(packet_id, granted).to_bytes())


def encode_unsuback(packet_id: int) -> bytes:
    """Encode UNSUBACK."""
    return bytes(UnsubackPacket.build(packet_id).to_bytes())


def encode_ack(kind: int, packet_id: int) -> bytes:
    """Encode PUBACK, PUBREC, PUBREL or PUBCOMP."""
    return _ACK_HEADERS[kind] + packet_id.to_bytes(2, "big")


def encode_publish(
    message: Message, qos: int, packet_id: int = 0, *, is_dup: bool = False
) -> bytes:
    """Encode PUBLISH at `qos`; `packet_id` counts only above QoS 0."""
    topic = message.topic.encode()
    first = PUBLISH << 4 | is_dup << 3 | qos << 1 | message.is_retained
    body = len(topic).to_bytes(2, "big") + topic
    if qos:
        body += packet_id.to_bytes(2, "big")
    return (
        bytes((first,)) + _encode_length(len(body) + len(message.payload)) + body + message.payload
    )


def _encode_length(length: int) -> bytes:
    encoded = bytearray()
    while True:
        length, low = length >> 7, length & 0x7F
        encoded.append(low | 0x80 if length else low)
        if not length:
            return bytes(encoded)
