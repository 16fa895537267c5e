"""Properties of MQTT 5 packets (section 2.2.2): one table says what each one is."""

import enum
from collections.abc import Callable
from typing import Final, TypeAlias

import msgspec

from gateway.broker.codec.reasons import Reason
from gateway.broker.codec.topic_rules import MalformedPacketError, is_topic_name
from gateway.broker.codec.wire import Fields, encode_blob, encode_length

Value: TypeAlias = int | str | bytes


class Property(enum.IntEnum):
    """Identifiers of properties."""

    PAYLOAD_FORMAT = 0x01
    MESSAGE_EXPIRY = 0x02
    CONTENT_TYPE = 0x03
    RESPONSE_TOPIC = 0x08
    CORRELATION_DATA = 0x09
    SUBSCRIPTION_IDENTIFIER = 0x0B
    SESSION_EXPIRY = 0x11
    ASSIGNED_CLIENT_ID = 0x12
    SERVER_KEEP_ALIVE = 0x13
    AUTHENTICATION_METHOD = 0x15
    AUTHENTICATION_DATA = 0x16
    REQUEST_PROBLEM_INFORMATION = 0x17
    WILL_DELAY = 0x18
    REQUEST_RESPONSE_INFORMATION = 0x19
    RESPONSE_INFORMATION = 0x1A
    REASON_STRING = 0x1F
    RECEIVE_MAXIMUM = 0x21
    TOPIC_ALIAS_MAXIMUM = 0x22
    TOPIC_ALIAS = 0x23
    USER_PROPERTY = 0x26
    MAXIMUM_PACKET_SIZE = 0x27


_P = Property
_FORWARDED: Final = frozenset(  # they travel unaltered with their message
    {
        _P.PAYLOAD_FORMAT,
        _P.CONTENT_TYPE,
        _P.RESPONSE_TOPIC,
        _P.CORRELATION_DATA,
        _P.USER_PROPERTY,
    }
)
_OF_MESSAGE: Final = _FORWARDED | {_P.MESSAGE_EXPIRY}
IN_PUBLISH: Final = _OF_MESSAGE | {_P.TOPIC_ALIAS}
IN_WILL: Final = _OF_MESSAGE | {_P.WILL_DELAY}
IN_CONNECT: Final = frozenset(
    {
        _P.SESSION_EXPIRY,
        _P.RECEIVE_MAXIMUM,
        _P.MAXIMUM_PACKET_SIZE,
        _P.TOPIC_ALIAS_MAXIMUM,
        _P.REQUEST_RESPONSE_INFORMATION,
        _P.REQUEST_PROBLEM_INFORMATION,
        _P.USER_PROPERTY,
        _P.AUTHENTICATION_METHOD,
        _P.AUTHENTICATION_DATA,
    }
)
IN_SUBSCRIBE: Final = frozenset({_P.SUBSCRIPTION_IDENTIFIER, _P.USER_PROPERTY})
IN_UNSUBSCRIBE: Final = frozenset({_P.USER_PROPERTY})
IN_ACK: Final = frozenset({_P.REASON_STRING, _P.USER_PROPERTY})
IN_DISCONNECT: Final = IN_ACK | {_P.SESSION_EXPIRY}

_BYTES: Final = frozenset(
    {_P.PAYLOAD_FORMAT, _P.REQUEST_PROBLEM_INFORMATION, _P.REQUEST_RESPONSE_INFORMATION}
)
_WORDS: Final = frozenset(
    {_P.SERVER_KEEP_ALIVE, _P.RECEIVE_MAXIMUM, _P.TOPIC_ALIAS_MAXIMUM, _P.TOPIC_ALIAS}
)
_LONGS: Final = frozenset(
    {_P.MESSAGE_EXPIRY, _P.SESSION_EXPIRY, _P.WILL_DELAY, _P.MAXIMUM_PACKET_SIZE}
)
_BLOBS: Final = frozenset({_P.CORRELATION_DATA, _P.AUTHENTICATION_DATA})


def _reader(identifier: Property) -> Callable[[Fields], Value]:
    if identifier in _BYTES:
        return Fields.byte
    if identifier in _WORDS:
        return Fields.word
    if identifier in _LONGS:
        return Fields.long
    if identifier in _BLOBS:
        return Fields.blob
    return Fields.varint if identifier is _P.SUBSCRIPTION_IDENTIFIER else Fields.text


_READERS: Final = {identifier: _reader(identifier) for identifier in Property}
_NOT_ZERO: Final = frozenset(
    {_P.RECEIVE_MAXIMUM, _P.MAXIMUM_PACKET_SIZE, _P.SUBSCRIPTION_IDENTIFIER}
)


class Properties(msgspec.Struct, frozen=True):
    """Properties of one packet. `forwarded` are those that travel with a message, as they came."""

    values: dict[int, Value]
    forwarded: bytes = b""

    def number(self, identifier: Property, default: int) -> int:
        """Return a numeric property."""
        value = self.values.get(identifier, default)
        assert isinstance(value, int)
        return value

    def text(self, identifier: Property) -> str:
        """Return a property that is a string, "" where it is absent."""
        value = self.values.get(identifier, "")
        assert isinstance(value, str)
        return value


NO_PROPERTIES: Final = Properties({})


def decode_properties(fields: Fields, allowed: frozenset[Property]) -> Properties:
    """Read the properties of a packet that may have those in `allowed`, each once."""
    length = fields.varint()
    if not length:
        return NO_PROPERTIES
    part = fields.part(length)
    values: dict[int, Value] = {}
    forwarded = b""
    while part.has_more():
        start = part.position
        identifier = part.varint()
        if identifier not in allowed:
            raise MalformedPacketError(f"property {identifier} has no place in this packet")
        if identifier == _P.USER_PROPERTY:
            part.text()
            part.text()
        elif identifier in values:
            raise MalformedPacketError(f"property {identifier} comes twice", Reason.PROTOCOL_ERROR)
        else:
            value = _READERS[Property(identifier)](part)
            _check(identifier, value)
            values[identifier] = value
        if identifier in _FORWARDED:
            forwarded += part.since(start)
    return Properties(values, forwarded)


def _check(identifier: int, value: Value) -> None:
    if identifier in _BYTES and value not in (0, 1):
        raise MalformedPacketError(f"property {identifier} is not 0 or 1", Reason.PROTOCOL_ERROR)
    if identifier in _NOT_ZERO and value == 0:
        raise MalformedPacketError(f"property {identifier} is 0", Reason.PROTOCOL_ERROR)
    if identifier == _P.TOPIC_ALIAS and value == 0:
        raise MalformedPacketError("topic alias 0 [MQTT-3.3.2-8]", Reason.TOPIC_ALIAS_INVALID)
    if identifier == _P.RESPONSE_TOPIC and not is_topic_name(str(value)):
        raise MalformedPacketError(
            "a response topic is empty or holds a wildcard [MQTT-3.3.2-14]", Reason.PROTOCOL_ERROR
        )


def encode_property(identifier: Property, value: Value) -> bytes:
    """Encode one property, identifier and value."""
    head = bytes((identifier,))
    if isinstance(value, str):
        return head + encode_blob(value.encode())
    if isinstance(value, bytes):
        return head + encode_blob(value)
    if identifier in _BYTES:
        return head + value.to_bytes(1, "big")
    if identifier in _WORDS:
        return head + value.to_bytes(2, "big")
    if identifier in _LONGS:
        return head + value.to_bytes(4, "big")
    return head + encode_length(value)


def encode_properties(encoded: bytes) -> bytes:
    """Put the length in front of properties that are encoded."""
    return encode_length(len(encoded)) + encoded


def has_utf8_format(forwarded: bytes) -> bool:
    """Tell whether a message's properties call its payload UTF-8 (section 3.3.2.3.2)."""
    fields = Fields(forwarded)
    while fields.has_more():
        identifier = Property(fields.byte())
        if identifier is _P.PAYLOAD_FORMAT:
            return fields.byte() == 1
        fields.blob()
        if identifier is _P.USER_PROPERTY:
            fields.blob()
    return False
