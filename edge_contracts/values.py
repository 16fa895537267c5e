"""Contract values: what crosses between Lua and the chain, as canonical MessagePack.

A value is nil, a boolean, a 64-bit signed integer, text, bytes, an array or a map with text keys.
Rule 1: one encoding per value (map keys sorted, shortest forms); any other encoding is refused.
Rule 2: no floats: they print and round differently between machines.
Rule 3: nil is allowed alone or as a map's value, where it means that the key is absent.
"""

from typing import TypeAlias

import msgspec

from edge_contracts.errors import ValueFormatError
from ledger.params import CONTRACT_ARGS_BYTES_MAX, CONTRACT_VALUE_DEPTH_MAX

Value: TypeAlias = "bool | int | str | bytes | list[Value] | dict[str, Value] | None"

INTEGER_MIN, INTEGER_MAX = -(2**63), 2**63 - 1
VALUE_BYTES_MAX = CONTRACT_ARGS_BYTES_MAX
VALUE_NODES_MAX = 20_000  # table entries; converting one costs about a microsecond

_encoder = msgspec.msgpack.Encoder(order="sorted")
_decoder: msgspec.msgpack.Decoder[object] = msgspec.msgpack.Decoder(object)


def encode_value(value: Value, bytes_max: int = VALUE_BYTES_MAX) -> bytes:
    """Return the canonical bytes of a value; raise `ValueFormatError` if it is none."""
    _NodeCount().check(value, CONTRACT_VALUE_DEPTH_MAX)
    data = _encoder.encode(value)
    if len(data) > bytes_max:
        raise ValueFormatError(f"{len(data)} bytes are more than the allowed {bytes_max}")
    return data


def decode_value(data: bytes, bytes_max: int = VALUE_BYTES_MAX) -> Value:
    """Return the value of canonical bytes; raise `ValueFormatError` saying what is wrong."""
    if len(data) > bytes_max:
        raise ValueFormatError(f"{len(data)} bytes are more than the allowed {bytes_max}")
    try:
        value = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ValueFormatError("not MessagePack") from None
    checked = _NodeCount().check(value, CONTRACT_VALUE_DEPTH_MAX)
    if _encoder.encode(value) != data:
        raise ValueFormatError("not the canonical encoding of its own content")
    return checked


class _NodeCount:
    """One walk over a value: counts its entries against the limit while it checks them."""

    def __init__(self) -> None:
        self._nodes = 0

    def check(self, value: object, depth: int) -> Value:
        """Return `value` when it is a contract value."""
        match value:
            case None | bool() | bytes():
                return value
            case str():
                return _check_text(value)
            case int():
                if not INTEGER_MIN <= value <= INTEGER_MAX:
                    raise ValueFormatError(f"integer {value} does not fit in 64 bits")
                return value
            case list() | dict():
                return self._check_container(value, depth - 1)
            case float():
                raise ValueFormatError("a float: contracts compute with integers only")
            case _:
                raise ValueFormatError(f"a {type(value).__name__} is not a contract value")

    def _check_container(
        self, value: list[object] | dict[object, object], depth: int
    ) -> list[Value] | dict[str, Value]:
        if depth < 0:
            raise ValueFormatError(f"nested deeper than {CONTRACT_VALUE_DEPTH_MAX}")
        self._nodes += len(value)
        if self._nodes > VALUE_NODES_MAX:
            raise ValueFormatError(f"more than {VALUE_NODES_MAX} entries")
        if isinstance(value, list):
            if None in value:
                raise ValueFormatError("nil inside an array")
            return [self.check(item, depth) for item in value]
        return {self._check_key(key): self.check(item, depth) for key, item in value.items()}

    @staticmethod
    def _check_key(key: object) -> str:
        if not isinstance(key, str):
            raise ValueFormatError("a map key is not text")
        return _check_text(key)


def _check_text(text: str) -> str:
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueFormatError("text that is not valid Unicode")
    return text
