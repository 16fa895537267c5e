"""What all packets are made of: fixed headers, lengths, fields."""

from typing import Final

from gateway.broker.codec.reasons import Reason
from gateway.broker.codec.topic_rules import (
    MalformedPacketError,
    decode_text,
    decode_topic_filter,
)

CONNECT: Final = 1
CONNACK: Final = 2
PUBLISH: Final = 3
PUBACK: Final = 4
PUBREC: Final = 5
PUBREL: Final = 6
PUBCOMP: Final = 7
SUBSCRIBE: Final = 8
SUBACK: Final = 9
UNSUBSCRIBE: Final = 10
UNSUBACK: Final = 11
PINGREQ: Final = 12
DISCONNECT: Final = 14
AUTH: Final = 15

REQUIRED_FLAGS: Final = {PUBREL: 2, SUBSCRIBE: 2, UNSUBSCRIBE: 2}  # all others 0 [MQTT-2.2.2-2]
PINGRESP: Final = b"\xd0\x00"
_LENGTH_BYTES_MAX = 4
_LENGTH_MAX: Final = (1 << 7 * _LENGTH_BYTES_MAX) - 1


class Fields:
    """The fields of one packet body, read in order; reading past the end is malformed."""

    __slots__ = ("_body", "_end", "position")

    def __init__(self, body: bytes, position: int = 0, end: int | None = None) -> None:
        self._body = body
        self._end = len(body) if end is None else end
        self.position = position

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        end = self.position + count
        if end > self._end:
            raise MalformedPacketError("a packet ends inside a field")
        taken = self._body[self.position : end]
        self.position = end
        return taken

    def byte(self) -> int:
        """Return the next byte."""
        return self.take(1)[0]

    def word(self) -> int:
        """Return a two byte integer."""
        return int.from_bytes(self.take(2), "big")

    def long(self) -> int:
        """Return a four byte integer."""
        return int.from_bytes(self.take(4), "big")

    def varint(self) -> int:
        """Return a variable byte integer, written as short as it can be [MQTT-1.5.5-1]."""
        value = 0
        for shift in range(0, 7 * _LENGTH_BYTES_MAX, 7):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if byte == 0 and shift:
                    break
                return value
        raise MalformedPacketError("a variable byte integer is too long")

    def blob(self) -> bytes:
        """Return binary data with its length in front."""
        return self.take(self.word())

    def text(self) -> str:
        """Return a string with its length in front."""
        return decode_text(self.blob())

    def since(self, start: int) -> bytes:
        """Return the bytes read since `start`."""
        return self._body[start : self.position]

    def has_more(self) -> bool:
        """Tell whether anything follows."""
        return self.position < self._end

    def part(self, length: int) -> "Fields":
        """Return the next `length` bytes as fields of their own, and go on behind them."""
        start = self.position
        if start + length > self._end:
            raise MalformedPacketError("a packet ends inside a field")
        self.position = start + length
        return Fields(self._body, start, self.position)

    def finish(self) -> None:
        """Refuse bytes that follow the last field."""
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
                raise MalformedPacketError(
                    f"a packet of {length} bytes; the limit is {limit}", Reason.PACKET_TOO_LARGE
                )
            return position, position + length
    raise MalformedPacketError("a remaining length of more than 4 bytes")


def encode_length(length: int) -> bytes:
    """Encode a variable byte integer."""
    assert 0 <= length <= _LENGTH_MAX, length
    if length < 0x80:
        return bytes((length,))
    encoded = bytearray()
    while True:
        length, low = length >> 7, length & 0x7F
        encoded.append(low | 0x80 if length else low)
        if not length:
            return bytes(encoded)


def encode_blob(data: bytes) -> bytes:
    """Encode binary data with its length in front."""
    return len(data).to_bytes(2, "big") + data


def encode_frame(kind: int, body: bytes) -> bytes:
    """Encode a packet that has no flags of its own."""
    return bytes((kind << 4 | REQUIRED_FLAGS.get(kind, 0),)) + encode_length(len(body)) + body


def nonzero_packet_id(packet_id: int) -> int:
    """Return the packet id; 0 is malformed [MQTT-2.3.1-1]."""
    if packet_id == 0:
        raise MalformedPacketError("packet id 0 [MQTT-2.3.1-1]", Reason.PROTOCOL_ERROR)
    return packet_id


def check_filter_count(count: int, filters_max: int) -> None:
    """Refuse a packet with too many topic filters, as soon as it is known."""
    if count > filters_max:
        raise MalformedPacketError(
            f"more than {filters_max} topic filters in one packet", Reason.QUOTA_EXCEEDED
        )


def decode_filters(fields: Fields, filters_max: int) -> tuple[str, ...]:
    """Return the rest of an UNSUBSCRIBE packet: 1 to `filters_max` filters."""
    filters: list[str] = []
    while fields.has_more():
        filters.append(decode_topic_filter(fields.blob()))
        check_filter_count(len(filters), filters_max)
    if not filters:
        raise MalformedPacketError(
            "UNSUBSCRIBE without a topic filter [MQTT-3.10.3-2]", Reason.PROTOCOL_ERROR
        )
    return tuple(filters)
