"""MQTT 3.1.1 and 5.0 packets for tests: written and read apart from the broker's own codec.

Writing is lenient, so that a test can send what the standard forbids. Reading is strict: what a
server must never send fails the test that receives it, with the clause it breaks.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

V311: Final = 4
V5: Final = 5


class Kind(IntEnum):
    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14
    AUTH = 15


class Prop(IntEnum):
    PAYLOAD_FORMAT = 0x01
    MESSAGE_EXPIRY = 0x02
    CONTENT_TYPE = 0x03
    RESPONSE_TOPIC = 0x08
    CORRELATION_DATA = 0x09
    SUBSCRIPTION_ID = 0x0B
    SESSION_EXPIRY = 0x11
    ASSIGNED_CLIENT_ID = 0x12
    SERVER_KEEP_ALIVE = 0x13
    AUTH_METHOD = 0x15
    AUTH_DATA = 0x16
    REQUEST_PROBLEM_INFO = 0x17
    WILL_DELAY = 0x18
    REQUEST_RESPONSE_INFO = 0x19
    RESPONSE_INFO = 0x1A
    SERVER_REFERENCE = 0x1C
    REASON_STRING = 0x1F
    RECEIVE_MAXIMUM = 0x21
    TOPIC_ALIAS_MAXIMUM = 0x22
    TOPIC_ALIAS = 0x23
    MAXIMUM_QOS = 0x24
    RETAIN_AVAILABLE = 0x25
    USER_PROPERTY = 0x26
    MAXIMUM_PACKET_SIZE = 0x27
    WILDCARD_AVAILABLE = 0x28
    SUBSCRIPTION_ID_AVAILABLE = 0x29
    SHARED_AVAILABLE = 0x2A


Value = int | str | bytes | tuple[str, str]
Properties = Sequence[tuple[int, Value]]

_BYTES = {
    Prop.PAYLOAD_FORMAT: 1,
    Prop.MESSAGE_EXPIRY: 4,
    Prop.SESSION_EXPIRY: 4,
    Prop.SERVER_KEEP_ALIVE: 2,
    Prop.REQUEST_PROBLEM_INFO: 1,
    Prop.WILL_DELAY: 4,
    Prop.REQUEST_RESPONSE_INFO: 1,
    Prop.RECEIVE_MAXIMUM: 2,
    Prop.TOPIC_ALIAS_MAXIMUM: 2,
    Prop.TOPIC_ALIAS: 2,
    Prop.MAXIMUM_QOS: 1,
    Prop.RETAIN_AVAILABLE: 1,
    Prop.MAXIMUM_PACKET_SIZE: 4,
    Prop.WILDCARD_AVAILABLE: 1,
    Prop.SUBSCRIPTION_ID_AVAILABLE: 1,
    Prop.SHARED_AVAILABLE: 1,
}
_BINARY = {Prop.CORRELATION_DATA, Prop.AUTH_DATA}
_REPEATABLE = {Prop.USER_PROPERTY, Prop.SUBSCRIPTION_ID}
_EXPLAINED = {Prop.REASON_STRING, Prop.USER_PROPERTY}

# What a server may send, by kind of packet (tables 2-4 and 2-6 of MQTT 5).
_PROPERTIES: dict[Kind, set[Prop]] = {
    Kind.CONNACK: {
        Prop.SESSION_EXPIRY,
        Prop.RECEIVE_MAXIMUM,
        Prop.MAXIMUM_QOS,
        Prop.RETAIN_AVAILABLE,
        Prop.MAXIMUM_PACKET_SIZE,
        Prop.ASSIGNED_CLIENT_ID,
        Prop.TOPIC_ALIAS_MAXIMUM,
        Prop.WILDCARD_AVAILABLE,
        Prop.SUBSCRIPTION_ID_AVAILABLE,
        Prop.SHARED_AVAILABLE,
        Prop.SERVER_KEEP_ALIVE,
        Prop.RESPONSE_INFO,
        Prop.SERVER_REFERENCE,
        Prop.AUTH_METHOD,
        Prop.AUTH_DATA,
        *_EXPLAINED,
    },
    Kind.PUBLISH: {
        Prop.PAYLOAD_FORMAT,
        Prop.MESSAGE_EXPIRY,
        Prop.CONTENT_TYPE,
        Prop.RESPONSE_TOPIC,
        Prop.CORRELATION_DATA,
        Prop.SUBSCRIPTION_ID,
        Prop.TOPIC_ALIAS,
        Prop.USER_PROPERTY,
    },
    Kind.DISCONNECT: {Prop.SERVER_REFERENCE, *_EXPLAINED},  # no expiry [MQTT-3.14.2-2]
    Kind.AUTH: {Prop.AUTH_METHOD, Prop.AUTH_DATA, *_EXPLAINED},
}
_ACK_REASONS = {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99}
_REASONS: dict[Kind, set[int]] = {
    Kind.CONNACK: {0x00, *range(0x80, 0x8B), 0x8C, 0x90, 0x95, 0x97, *range(0x99, 0x9E), 0x9F},
    Kind.PUBACK: _ACK_REASONS,
    Kind.PUBREC: _ACK_REASONS,
    Kind.PUBREL: {0x00, 0x92},
    Kind.PUBCOMP: {0x00, 0x92},
    Kind.SUBACK: {0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2},
    Kind.UNSUBACK: {0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91},
    Kind.DISCONNECT: {
        *(0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90),
        *range(0x93, 0xA3),
    },
    Kind.AUTH: {0x00, 0x18},
}


class ServerError(AssertionError):
    """The server sent what it must not."""


# --- writing ------------------------------------------------------------------------------------


def varint(value: int) -> bytes:
    encoded = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        encoded.append(low | 0x80 if value else low)
        if not value:
            return bytes(encoded)


def word(value: int) -> bytes:
    return value.to_bytes(2, "big")


def text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return word(len(raw)) + raw


def frame(first: int, body: bytes = b"") -> bytes:
    return bytes((first,)) + varint(len(body)) + body


def properties(pairs: Properties) -> bytes:
    """A property length and the properties."""
    body = b"".join(bytes((identifier,)) + _value(identifier, value) for identifier, value in pairs)
    return varint(len(body)) + body


def _value(identifier: int, value: Value) -> bytes:
    if isinstance(value, tuple):
        return text(value[0]) + text(value[1])
    if isinstance(value, int):
        if identifier == Prop.SUBSCRIPTION_ID:
            return varint(value)
        return value.to_bytes(_BYTES[Prop(identifier)], "big")
    return text(value)


@dataclass(frozen=True, slots=True)
class Will:
    topic: str | bytes
    payload: bytes = b"gone"
    qos: int = 0
    retain: bool = False
    properties: Properties = ()


@dataclass(frozen=True, slots=True)
class Login:
    """What stands in a CONNECT beside the client's name."""

    is_clean: bool = True
    keep_alive_s: int = 0
    will: Will | None = None
    username: str | bytes | None = None
    password: bytes | None = None
    properties: Properties = ()


def connect(version: int, client_id: str | bytes, login: Login | None = None) -> bytes:
    login = login or Login()
    flags = 0x02 if login.is_clean else 0
    payload = text(client_id)
    if login.will is not None:
        flags |= 0x04 | login.will.qos << 3 | login.will.retain << 5
        payload += properties(login.will.properties) if version == V5 else b""
        payload += text(login.will.topic) + text(login.will.payload)
    if login.username is not None:
        flags |= 0x80
        payload += text(login.username)
    if login.password is not None:
        flags |= 0x40
        payload += text(login.password)
    return raw_connect(version, flags, payload, login.keep_alive_s, login.properties)


def raw_connect(
    version: int,
    flags: int,
    payload: bytes,
    keep_alive_s: int = 0,
    pairs: Properties = (),
) -> bytes:
    """A CONNECT with any flags over any payload."""
    body = text("MQTT") + bytes((version, flags)) + word(keep_alive_s)
    return frame(0x10, body + (properties(pairs) if version == V5 else b"") + payload)


@dataclass(frozen=True, slots=True)
class Publish:
    """An application message, as it is sent and as it is received."""

    topic: str | bytes
    payload: bytes = b"x"
    qos: int = 0
    packet_id: int = 0
    retain: bool = False
    dup: bool = False
    properties: Properties = ()

    def encode(self, version: int) -> bytes:
        body = text(self.topic) + (word(self.packet_id) if self.qos else b"")
        body += properties(self.properties) if version == V5 else b""
        first = 0x30 | self.dup << 3 | self.qos << 1 | self.retain
        return frame(first, body + self.payload)

    def one(self, identifier: Prop) -> Value | None:
        return _one(self.properties, identifier)

    def all(self, identifier: Prop) -> list[Value]:
        return [value for key, value in self.properties if key == identifier]


def ack(version: int, kind: Kind, packet_id: int, reason: int = 0, pairs: Properties = ()) -> bytes:
    """PUBACK, PUBREC, PUBREL or PUBCOMP."""
    body = word(packet_id)
    if version == V5 and (reason or pairs):
        body += bytes((reason,)) + (properties(pairs) if pairs else b"")
    return frame(kind << 4 | (2 if kind == Kind.PUBREL else 0), body)


def subscribe(
    version: int,
    packet_id: int,
    filters: Iterable[tuple[str | bytes, int]],
    pairs: Properties = (),
) -> bytes:
    """SUBSCRIBE to (filter, options byte) pairs."""
    body = word(packet_id) + (properties(pairs) if version == V5 else b"")
    return frame(0x82, body + b"".join(text(name) + bytes((options,)) for name, options in filters))


def unsubscribe(version: int, packet_id: int, filters: Iterable[str | bytes]) -> bytes:
    body = word(packet_id) + (properties(()) if version == V5 else b"")
    return frame(0xA2, body + b"".join(text(name) for name in filters))


def disconnect(version: int, reason: int = 0, pairs: Properties = ()) -> bytes:
    if version == V311 or not (reason or pairs):
        return frame(0xE0)
    return frame(0xE0, bytes((reason,)) + (properties(pairs) if pairs else b""))


PINGREQ: Final = frame(0xC0)


# --- reading ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """Any packet of a server but PUBLISH. `reasons` holds one code, or one for each filter."""

    kind: Kind
    packet_id: int = 0
    reasons: tuple[int, ...] = ()
    session_present: bool = False
    properties: Properties = ()
    size: int = 0

    @property
    def reason(self) -> int:
        assert len(self.reasons) == 1
        return self.reasons[0]

    def one(self, identifier: Prop) -> Value | None:
        return _one(self.properties, identifier)


Packet = Answer | Publish


def _one(pairs: Properties, identifier: Prop) -> Value | None:
    return next((value for key, value in pairs if key == identifier), None)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        if self._at + count > len(self._data):
            raise ServerError("a packet ends inside a field")
        self._at += count
        return self._data[self._at - count : self._at]

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._at)

    def has_more(self) -> bool:
        return self._at < len(self._data)

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count), "big")

    def text(self) -> str:
        value = self.take(self.number(2)).decode()  # strict: fails on ill-formed text
        if "\0" in value:
            raise ServerError("NUL in a string")
        return value

    def varint(self) -> int:
        value = 0
        for shift in range(0, 28, 7):
            byte = self.number(1)
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if byte == 0 and shift:
                    raise ServerError("a longer integer than needed [MQTT-1.5.5-1]")
                return value
        raise ServerError("an integer of more than 4 bytes")


def decode(version: int, first: int, body: bytes) -> Packet:
    """Read one packet of a server, strictly; `size` of an `Answer` counts its body alone."""
    kind, flags, reader = Kind(first >> 4), first & 0x0F, _Reader(body)
    if kind == Kind.PUBLISH:
        return _decode_publish(version, flags, reader)
    if flags != (2 if kind == Kind.PUBREL else 0):
        raise ServerError(f"flags {flags} on {kind.name} [MQTT-2.1.3-1]")
    packet = _decode_answer(version, kind, reader, len(body))
    if reader.has_more():
        raise ServerError(f"bytes after the last field of {kind.name}")
    return packet


def _decode_publish(version: int, flags: int, reader: _Reader) -> Publish:
    qos = flags >> 1 & 3
    if qos == 3 or (qos == 0 and flags & 8):
        raise ServerError("PUBLISH with QoS 3, or DUP at QoS 0 [MQTT-3.3.1-2] [MQTT-3.3.1-4]")
    topic = reader.text()
    packet_id = reader.number(2) if qos else 0
    if qos and not packet_id:
        raise ServerError("PUBLISH with packet id 0 [MQTT-2.2.1-4]")
    pairs = _decode_properties(Kind.PUBLISH, reader) if version == V5 else ()
    return Publish(
        topic, reader.rest(), qos, packet_id, bool(flags & 1), bool(flags & 8), tuple(pairs)
    )


def _decode_answer(version: int, kind: Kind, reader: _Reader, size: int) -> Answer:
    match kind:
        case Kind.CONNACK:
            flags, reason = reader.number(1), reader.number(1)
            if flags > 1 or (flags and reason):
                raise ServerError(f"CONNACK with flags {flags} and reason {reason}")
            pairs = _tail(version, kind, reader)
            return Answer(kind, 0, _checked(version, kind, reason), bool(flags), pairs, size)
        case Kind.PUBACK | Kind.PUBREC | Kind.PUBREL | Kind.PUBCOMP:
            packet_id = reader.number(2)
            reason = reader.number(1) if version == V5 and reader.has_more() else 0
            pairs = _tail(version, kind, reader)
            return Answer(kind, packet_id, _checked(version, kind, reason), False, pairs, size)
        case Kind.SUBACK | Kind.UNSUBACK:
            packet_id = reader.number(2)
            pairs = _decode_properties(kind, reader) if version == V5 else ()
            reasons = tuple(reader.rest())
            _check_reasons(version, kind, reasons)
            return Answer(kind, packet_id, reasons, False, pairs, size)
        case Kind.PINGRESP:
            return Answer(kind)
        case Kind.DISCONNECT | Kind.AUTH:
            if version == V311:
                raise ServerError(f"{kind.name} from a server of MQTT 3.1.1")
            reason = reader.number(1) if reader.has_more() else 0
            pairs = _tail(version, kind, reader)
            return Answer(kind, 0, _checked(version, kind, reason), False, pairs, size)
        case _:
            raise ServerError(f"{kind.name} from a server")


def _tail(version: int, kind: Kind, reader: _Reader) -> Properties:
    return _decode_properties(kind, reader) if version == V5 and reader.has_more() else ()


def _checked(version: int, kind: Kind, reason: int) -> tuple[int]:
    allowed = range(6) if version == V311 and kind == Kind.CONNACK else _REASONS[kind]
    if reason not in allowed:
        raise ServerError(f"reason {reason:#x} in {kind.name}")
    return (reason,)


def _check_reasons(version: int, kind: Kind, reasons: tuple[int, ...]) -> None:
    allowed: set[int] = _REASONS[kind]
    if version == V311:
        allowed = {0, 1, 2, 0x80} if kind == Kind.SUBACK else set()
    if not allowed.issuperset(reasons):
        raise ServerError(f"reasons {reasons} in {kind.name} [MQTT-3.9.3-2]")


def _decode_properties(kind: Kind, reader: _Reader) -> Properties:
    section = _Reader(reader.take(reader.varint()))
    pairs: list[tuple[int, Value]] = []
    allowed = _PROPERTIES.get(kind, _EXPLAINED)
    while section.has_more():
        identifier = Prop(section.varint())
        if identifier not in allowed:
            raise ServerError(f"{identifier.name} in {kind.name}")
        if identifier not in _REPEATABLE and _one(pairs, identifier) is not None:
            raise ServerError(f"{identifier.name} twice in {kind.name}")
        pairs.append((identifier, _decode_value(identifier, section)))
    return tuple(pairs)


def _decode_value(identifier: Prop, section: _Reader) -> Value:
    if identifier in _BYTES:
        return section.number(_BYTES[identifier])
    if identifier == Prop.SUBSCRIPTION_ID:
        return section.varint()
    if identifier in _BINARY:
        return section.take(section.number(2))
    if identifier == Prop.USER_PROPERTY:
        return section.text(), section.text()
    return section.text()
