"""A contract's manifest: what it is called, what may be called and by whom, what it announces.

    name = "settlement"            version = "1.0.0"        description = "..."
    modules = ["metering"]         # library modules whose code is part of the contract
    [methods.open]                 args = { session = "text" }, payable = true, caller = "any"
    [methods.bill]                 args = { session = "text" }, query = true, returns = "any"
    [events.opened]                session = "text", consumer = "address"

Errors are one line and name the key.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass

from edge_contracts.errors import ManifestError
from edge_contracts.value_types import (
    NOTHING,
    TYPE_DEPTH_MAX,
    Record,
    ValueType,
    parse_record,
    parse_type,
)
from ledger.params import CONTRACT_MANIFEST_BYTES_MAX

CALLERS = ("any", "owner")
METHODS_MAX = 64
EVENTS_MAX = 64
MODULES_MAX = 8
DESCRIPTION_LENGTH_MAX = 300
TOML_DEPTH_MAX = TYPE_DEPTH_MAX + 3  # a type inside methods = { name = { args = { ... } } }
_DIGITS_MAX = 64  # far more than any number here; Python refuses some thousands, if so configured

_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")  # the method names that a transaction may carry
_VERSION = re.compile(r"[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}")
_KEYS = ("name", "version", "description", "modules", "methods", "events")
_METHOD_KEYS = ("args", "returns", "payable", "query", "caller")

# Strings and comments; one that does not end takes the rest.
_TOML_TEXT = re.compile(
    r'''"""(?:\\.|[^\\])*?(?:"""+|\Z)|'{3}.*?(?:'{3,}|\Z)'''
    r"""|"(?:\\.|[^"\\\n])*(?:"|$)|'[^'\n]*(?:'|$)|#[^\n]*""",
    re.DOTALL | re.MULTILINE,
)
_DIGITS = re.compile(rf"[0-9A-Fa-f_]{{{_DIGITS_MAX + 1},}}")
_BRACKET = re.compile(r"[\[\]{}]")


@dataclass(frozen=True, slots=True)
class Method:
    """One callable method. A query changes nothing; only a payable method accepts a deposit."""

    name: str
    args: Record
    returns: ValueType
    payable: bool
    query: bool
    caller: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """A parsed manifest."""

    name: str
    version: str
    description: str
    modules: tuple[str, ...]
    methods: Mapping[str, Method]
    events: Mapping[str, Record]


def parse_manifest(text: str) -> Manifest:
    """Return the manifest; raise `ManifestError` with the key that is wrong."""
    raw = _load_toml(text)
    _refuse_unknown_keys(raw, _KEYS, "")
    return Manifest(
        name=_parse_matching(raw, "name", _NAME, "lower case letters, digits and _"),
        version=_parse_matching(raw, "version", _VERSION, "three numbers such as 1.0.0"),
        description=_parse_description(raw),
        modules=_parse_modules(raw.get("modules", [])),
        methods=_parse_methods(raw),
        events={
            name: parse_record(table, f"events.{name}")
            for name, table in _parse_tables(raw, "events", EVENTS_MAX).items()
        },
    )


def _load_toml(text: str) -> dict[str, object]:
    if len(text.encode(errors="replace")) > CONTRACT_MANIFEST_BYTES_MAX:
        raise ManifestError(f"manifest: more than {CONTRACT_MANIFEST_BYTES_MAX} bytes")
    _check_shape(text)
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError
        raise ManifestError("manifest: not valid TOML", hint=str(error)) from None


def _check_shape(text: str) -> None:
    """Refuse what the TOML parser's own limits would decide: they differ between nodes."""
    bare = _TOML_TEXT.sub(" ", text)
    if _DIGITS.search(bare):
        raise ManifestError(f"manifest: a number with more than {_DIGITS_MAX} digits")
    depth = 0
    for bracket in _BRACKET.findall(bare):
        depth = depth + 1 if bracket in "[{" else max(depth - 1, 0)
        if depth > TOML_DEPTH_MAX:
            raise ManifestError(f"manifest: brackets nested deeper than {TOML_DEPTH_MAX}")


def _refuse_unknown_keys(table: Mapping[str, object], known: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in known:
            raise ManifestError(f"{where}{key}: unknown key; known are {', '.join(known)}")


def _parse_matching(
    raw: Mapping[str, object], key: str, pattern: re.Pattern[str], form: str
) -> str:
    value = raw.get(key)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ManifestError(f"{key}: expected {form}")
    return value


def _parse_description(raw: Mapping[str, object]) -> str:
    value = raw.get("description")
    if not isinstance(value, str) or not 0 < len(value) <= DESCRIPTION_LENGTH_MAX:
        raise ManifestError(f"description: expected 1 to {DESCRIPTION_LENGTH_MAX} characters")
    return value


def _parse_modules(raw: object) -> tuple[str, ...]:
    if not isinstance(raw, list) or not all(
        isinstance(name, str) and _NAME.fullmatch(name) for name in raw
    ):
        raise ManifestError("modules: expected a list of library names")
    if len(raw) > MODULES_MAX or len(set(raw)) != len(raw):
        raise ManifestError(f"modules: at most {MODULES_MAX}, each once")
    return tuple(raw)


def _parse_tables(
    raw: Mapping[str, object], key: str, count_max: int
) -> dict[str, dict[str, object]]:
    tables = raw.get(key, {})
    if not isinstance(tables, dict) or len(tables) > count_max:
        raise ManifestError(f"{key}: expected at most {count_max} tables [{key}.<name>]")
    for name, table in tables.items():
        if not _NAME.fullmatch(name):
            raise ManifestError(f"{key}.{name}: a name has lower case letters, digits and _")
        if not isinstance(table, dict):
            raise ManifestError(f"{key}.{name}: expected a table [{key}.{name}]")
    return tables


def _parse_methods(raw: Mapping[str, object]) -> dict[str, Method]:
    tables = _parse_tables(raw, "methods", METHODS_MAX)
    if not tables:
        raise ManifestError("methods: a contract needs at least one")
    return {name: _parse_method(name, table) for name, table in tables.items()}


def _parse_method(name: str, table: Mapping[str, object]) -> Method:
    where = f"methods.{name}"
    _refuse_unknown_keys(table, _METHOD_KEYS, f"{where}.")
    args = table.get("args", {})
    if not isinstance(args, dict):
        raise ManifestError(f'{where}.args: expected {{ argument = "type" }}')
    caller = table.get("caller", "any")
    if caller not in CALLERS:
        raise ManifestError(f"{where}.caller: expected one of {', '.join(CALLERS)}")
    payable, query = (_parse_flag(table, key, where) for key in ("payable", "query"))
    if payable and (query or name == "init"):
        raise ManifestError(f"{where}.payable: {'a query' if query else 'init'} takes no deposit")
    if query and name == "init":
        raise ManifestError(f"{where}.query: init is called once, when the contract is deployed")
    return Method(
        name=name,
        args=parse_record(args, f"{where}.args") if args else NOTHING,
        returns=parse_type(table.get("returns", "any"), f"{where}.returns"),
        payable=payable,
        query=query,
        caller=str(caller),
    )


def _parse_flag(table: Mapping[str, object], key: str, where: str) -> bool:
    value = table.get(key, False)
    if not isinstance(value, bool):
        raise ManifestError(f"{where}.{key}: expected true or false")
    return value
