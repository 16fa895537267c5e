"""What stands in the columns of the sessions database: MessagePack arrays. Pure."""

from typing import Any, TypeVar

import msgspec

from gateway.broker.message import Message, Subscription
from gateway.model.principal import Principal

T = TypeVar("T")

_MESSAGE = msgspec.msgpack.Decoder(tuple[str, bytes, int, bool, bytes, int])
_SUBSCRIPTION = msgspec.msgpack.Decoder(tuple[int, bool, bool, int, int])
_PRINCIPAL = msgspec.msgpack.Decoder(Principal)
_NUMBERS = msgspec.msgpack.Decoder(tuple[int, ...])
_encode = msgspec.msgpack.Encoder().encode


class UnreadableRowError(Exception):
    """A column holds what was never written there."""


def encode_message(message: Message) -> bytes:
    """Return a message as one column."""
    return _encode(msgspec.structs.astuple(message))


def decode_message(data: bytes) -> Message:
    """Return the message of a column; raises `UnreadableRowError`."""
    return Message(*_decode(_MESSAGE, data))


def encode_subscription(subscription: Subscription) -> bytes:
    """Return a subscription's options as one column."""
    return _encode(msgspec.structs.astuple(subscription))


def decode_subscription(data: bytes) -> Subscription:
    """Return the options of a column; raises `UnreadableRowError`."""
    return Subscription(*_decode(_SUBSCRIPTION, data))


def encode_principal(principal: Principal) -> bytes:
    """Return a principal as one column."""
    return _encode(principal)


def decode_principal(data: bytes) -> Principal:
    """Return the principal of a column; raises `UnreadableRowError`."""
    return _decode(_PRINCIPAL, data)


def encode_numbers(numbers: tuple[int, ...]) -> bytes:
    """Return subscription identifiers as one column."""
    return _encode(numbers)


def decode_numbers(data: bytes) -> tuple[int, ...]:
    """Return the numbers of a column; raises `UnreadableRowError`."""
    return _decode(_NUMBERS, data)


def _decode(decoder: "msgspec.msgpack.Decoder[T]", data: Any) -> T:
    try:
        return decoder.decode(data)
    except (msgspec.MsgspecError, TypeError, UnicodeDecodeError) as error:
        raise UnreadableRowError(str(error)) from None
