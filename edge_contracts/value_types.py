"""Types of arguments, results and events, as a manifest writes them.

    "int" "amount" "text" "bytes" "address" "bool" "any"     "?" behind a name: may be absent
    ["text"]                     an array of texts
    { name = "text", price = "amount" }                      a record with exactly these keys

They do two jobs: a call with wrong arguments is refused before any Lua runs, and Lua strings, which
know no difference between text and bytes, get the right form in results and events.
"""

from dataclasses import dataclass
from typing import TypeAlias

from edge_contracts.errors import ManifestError, ValueFormatError
from edge_contracts.values import Value
from ledger.params import AMOUNT_MAX, PUBLIC_KEY_BYTES

NAMES = ("int", "amount", "text", "bytes", "address", "bool", "any")
TYPE_DEPTH_MAX = 8  # records in arrays in records: more is a mistake


@dataclass(frozen=True, slots=True)
class Scalar:
    """One of `NAMES`."""

    name: str
    optional: bool = False


@dataclass(frozen=True, slots=True)
class ArrayOf:
    """An array whose items all have one type."""

    item: "ValueType"
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """A map with named fields."""

    fields: tuple[tuple[str, "ValueType"], ...]
    optional: bool = False


ValueType: TypeAlias = Scalar | ArrayOf | Record

NOTHING = Record(())


def parse_type(raw: object, where: str, depth: int = TYPE_DEPTH_MAX) -> ValueType:
    """Return the type that a manifest's TOML value means; raise `ManifestError` naming `where`."""
    if depth == 0:
        raise ManifestError(f"{where}: types nested deeper than {TYPE_DEPTH_MAX}")
    match raw:
        case str():
            name = raw.removesuffix("?")
            if name not in NAMES:
                raise ManifestError(
                    f"{where}: unknown type {raw[:40]!a}; use one of {', '.join(NAMES)}"
                )
            return Scalar(name, optional=raw.endswith("?"))
        case [item]:
            return ArrayOf(parse_type(item, f"{where}[]", depth - 1))
        case dict():
            return parse_record(raw, where, depth)
        case _:
            raise ManifestError(f'{where}: a type is "text", ["text"] or {{ key = "text" }}')


def parse_record(raw: dict[str, object], where: str, depth: int = TYPE_DEPTH_MAX) -> Record:
    """Return the record type of a TOML table of field types."""
    fields = [(key, parse_type(raw[key], f"{where}.{key}", depth - 1)) for key in sorted(raw)]
    return Record(tuple(fields))


def conform(value: Value, kind: ValueType, where: str) -> Value:
    """Return `value` in the form its type demands; raise `ValueFormatError` naming `where`.

    An empty Lua table is an array until a record type says otherwise, and so it becomes one.
    """
    if value is None:
        if kind.optional or kind == Scalar("any"):
            return None
        raise ValueFormatError(f"{where} is missing")
    match kind:
        case Scalar(name):
            return _conform_scalar(value, name, where)
        case ArrayOf(item):
            items = [] if value == {} else value
            if not isinstance(items, list):
                raise ValueFormatError(f"{where} is not an array")
            return [conform(entry, item, f"{where}[{n}]") for n, entry in enumerate(items, 1)]
        case Record(fields):
            return _conform_record({} if value == [] else value, fields, where)


def _conform_record(
    value: Value, fields: tuple[tuple[str, ValueType], ...], where: str
) -> dict[str, Value]:
    if not isinstance(value, dict):
        raise ValueFormatError(f"{where} is not a record")
    known = dict(fields)
    for key in sorted(value):
        if key not in known:
            raise ValueFormatError(f"{where}.{key} is not known; fields are {', '.join(known)}")
    conformed = {key: conform(value.get(key), kind, f"{where}.{key}") for key, kind in fields}
    return {key: item for key, item in conformed.items() if item is not None}


def _conform_scalar(value: Value, name: str, where: str) -> Value:
    match name:
        case "any":
            return value
        case "bool":
            is_right = isinstance(value, bool)
        case "int" | "amount":
            is_right = isinstance(value, int) and not isinstance(value, bool)
            if name == "amount" and isinstance(value, int) and not 0 <= value <= AMOUNT_MAX:
                raise ValueFormatError(f"{where} is not an amount: {value}")
        case "text":
            is_right = isinstance(value, str)
        case _:
            return _conform_bytes(value, name, where)
    if not is_right:
        raise ValueFormatError(f"{where} is not of type {name}")
    return value


def _conform_bytes(value: Value, name: str, where: str) -> bytes:
    # Bytes that happen to be valid UTF-8 arrive from Lua as text.
    data = value.encode() if isinstance(value, str) else value
    if not isinstance(data, bytes):
        raise ValueFormatError(f"{where} is not of type {name}")
    if name == "address" and len(data) != PUBLIC_KEY_BYTES:
        raise ValueFormatError(f"{where} is not an address of {PUBLIC_KEY_BYTES} bytes")
    return data
