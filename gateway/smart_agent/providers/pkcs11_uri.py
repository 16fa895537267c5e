"""PKCS #11 URIs (RFC 7512): which module, which token, which objects, and where the PIN is. Pure.

    pkcs11:token=gateway;object=smartshare?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/run/pin

The token holds a key pair for each purpose. Their labels are `<object>-<purpose>`; with `id`, their CKA_ID
is that id and one more byte, the purpose's number. The PIN itself never stands in a URI.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

from gateway.errors import AgentError

DEFAULT_OBJECT = "smartshare"

_ID_BYTES_MAX = 32
_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PATH_NAMES = frozenset(
    {"token", "serial", "manufacturer", "model", "slot-id", "object", "id", "type"}
)
_QUERY_NAMES = frozenset({"module-path", "pin-source"})


@dataclass(frozen=True, slots=True)
class Pkcs11Uri:
    """What a URI says. What it leaves out is None and fits every token."""

    module_path: Path
    object: str = DEFAULT_OBJECT
    id: bytes | None = None
    token: str | None = None
    serial: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    slot_id: int | None = None
    pin_source: Path | None = None


def parse_pkcs11_uri(uri: str) -> Pkcs11Uri:
    """Return what `uri` says; raise `AgentError` with what to write instead."""
    scheme, _, rest = uri.partition(":")
    if scheme != "pkcs11":
        raise AgentError(f"key {uri!r} is not `pkcs11:...`")
    if "pin-value=" in rest:
        raise AgentError("a key's URI must not hold the PIN: write pin-source=file:/PATH instead")
    path, _, query = rest.partition("?")
    path_parts = _split(uri, path, ";", _PATH_NAMES)
    query_parts = _split(uri, query, "&", _QUERY_NAMES)
    if path_parts.get("type", b"private") != b"private":
        raise _wrong(uri, "type: only `type=private` names a key that signs")
    if not (path_parts.keys() & {"token", "serial", "slot-id"}):
        raise _wrong(uri, "no token is named: add token=LABEL")
    return Pkcs11Uri(
        module_path=_module_path(uri, query_parts),
        object=_text(uri, path_parts, "object") or DEFAULT_OBJECT,
        id=_id(uri, path_parts),
        token=_text(uri, path_parts, "token"),
        serial=_text(uri, path_parts, "serial"),
        manufacturer=_text(uri, path_parts, "manufacturer"),
        model=_text(uri, path_parts, "model"),
        slot_id=_slot_id(uri, path_parts),
        pin_source=_pin_source(uri, query_parts),
    )


def _split(uri: str, text: str, separator: str, known: frozenset[str]) -> dict[str, bytes]:
    parts: dict[str, bytes] = {}
    for part in filter(None, text.split(separator)):
        name, equals, value = part.partition("=")
        if name not in known:
            raise _wrong(uri, f"{name!r} is not understood: known are {', '.join(sorted(known))}")
        if not equals or name in parts or _PERCENT.search(value):
            raise _wrong(uri, f"{name}: write it once, as {name}=VALUE, percent-encoded")
        parts[name] = unquote_to_bytes(value)
    return parts


def _text(uri: str, parts: Mapping[str, bytes], name: str) -> str | None:
    value = parts.get(name)
    if value is None:
        return None
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise _wrong(uri, f"{name} is not UTF-8") from None
    if not text or not text.isprintable():
        raise _wrong(uri, f"{name} is empty or not printable")
    return text


def _id(uri: str, parts: Mapping[str, bytes]) -> bytes | None:
    value = parts.get("id")
    if value is not None and not 1 <= len(value) <= _ID_BYTES_MAX:
        raise _wrong(uri, f"id: 1 to {_ID_BYTES_MAX} bytes, percent-encoded")
    return value


def _slot_id(uri: str, parts: Mapping[str, bytes]) -> int | None:
    text = _text(uri, parts, "slot-id")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()):
        raise _wrong(uri, "slot-id is not a number")
    return int(text)


def _module_path(uri: str, parts: Mapping[str, bytes]) -> Path:
    text = _text(uri, parts, "module-path")
    if text is None or not Path(text).is_absolute():
        raise _wrong(uri, "add ?module-path=/PATH/OF/THE/MODULE.so")
    return Path(text)


def _pin_source(uri: str, parts: Mapping[str, bytes]) -> Path | None:
    text = _text(uri, parts, "pin-source")
    if text is None:
        return None
    path = Path(text.removeprefix("file://").removeprefix("file:"))
    if not path.is_absolute():
        raise _wrong(uri, "pin-source: write file:/ABSOLUTE/PATH")
    return path


def _wrong(uri: str, what: str) -> AgentError:
    return AgentError(f"key {uri!r}: {what}")
