"""Contract values as people write and read them: JSON, with bytes as hexadecimal text.

What a piece of text means (text, bytes, an address) is decided by the manifest's type.
"""

from collections.abc import Callable
from typing import assert_never

from edge_contracts.errors import ValueFormatError
from edge_contracts.value_types import ArrayOf, Record, Scalar, ValueType, conform
from edge_contracts.values import Value

ParseAddress = Callable[[str], bytes]  # raises ValueFormatError


def parse_plain(raw: object, kind: ValueType, where: str, parse_address: ParseAddress) -> Value:
    """Return the value of JSON data for a type; raise `ValueFormatError` naming `where`."""
    return conform(_convert(raw, kind, where, parse_address), kind, where)


def format_plain(value: Value) -> object:
    """Return a value as JSON data."""
    match value:
        case bytes():
            return value.hex()
        case list():
            return [format_plain(item) for item in value]
        case dict():
            return {key: format_plain(item) for key, item in value.items()}
        case _:
            return value


def _convert(raw: object, kind: ValueType, where: str, parse_address: ParseAddress) -> Value:
    match raw:
        case None | bool() | int():
            return raw
        case str():
            return _convert_text(raw, kind, where, parse_address)
        case list():
            item = kind.item if isinstance(kind, ArrayOf) else Scalar("any")
            return [
                _convert(entry, item, f"{where}[{number}]", parse_address)
                for number, entry in enumerate(raw, 1)
            ]
        case dict():
            fields = dict(kind.fields) if isinstance(kind, Record) else {}
            return {
                key: _convert(
                    entry, fields.get(key, Scalar("any")), f"{where}.{key}", parse_address
                )
                for key, entry in raw.items()
            }
        case _:
            raise ValueFormatError(f"{where}: a {type(raw).__name__} is not a contract value")


def _convert_text(text: str, kind: ValueType, where: str, parse_address: ParseAddress) -> Value:
    match kind:
        case Scalar("address"):
            return parse_address(text)
        case Scalar("bytes"):
            try:
                return bytes.fromhex(text)
            except ValueError:
                raise ValueFormatError(f"{where} is not hexadecimal") from None
        case Scalar() | ArrayOf() | Record():
            return text
        case _:
            assert_never(kind)
