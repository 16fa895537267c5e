"""`devices.toml`: the devices of a gateway and the contract sessions that their readings feed.

Commands edit the file as text, so that comments and order survive; what they would write is
checked before it replaces the file.
"""

import re
import tomllib
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from gateway.errors import SettingsError
from gateway.model import topics
from gateway.model.device import DeviceConfig, parse_address
from gateway.settings import Home, explain, load_toml, write_atomic
from ledger.codec.text import parse_address as parse_chain_address
from ledger.errors import CodecError

DEVICES_MAX = 1000  # what one Raspberry Pi is asked to serve
INTERVAL_MS_MIN = 50
INTERVAL_MS_MAX = 24 * 3_600_000


class _Session(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    contract: str
    session: Annotated[str, Meta(min_length=1, max_length=64)]
    record_every_ms: Annotated[int, Meta(ge=1, le=24 * 3_600_000)] = 60_000


class _Device(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    profile: str
    address: str | None = None
    interval_ms: Annotated[int, Meta(ge=INTERVAL_MS_MIN, le=INTERVAL_MS_MAX)] = 1000
    sessions: tuple[_Session, ...] = ()


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    devices: Annotated[dict[str, Any], Meta(max_length=DEVICES_MAX)] = {}


@dataclass(frozen=True, slots=True)
class SessionBinding:
    """A contract session that a device's readings are recorded in, at most every so often.

    `record_every_ms` is gateway time between recorded readings; the last of a batch always counts.
    """

    contract: bytes
    session: str
    record_every_ms: int


@dataclass(frozen=True, slots=True)
class DeviceEntry:
    """One device of the file."""

    config: DeviceConfig
    sessions: tuple[SessionBinding, ...]


def load_devices(home: Home) -> tuple[DeviceEntry, ...]:
    """Return the devices of a home folder; raises `SettingsError` with one line."""
    if not home.devices.exists():
        return ()
    file = load_toml(home.devices, _File)
    try:
        return tuple(_entry(name, table) for name, table in file.devices.items())
    except (SettingsError, CodecError) as error:
        raise SettingsError(f"{home.devices}: {error}") from None


def add_device(home: Home, name: str, profile: str, address: str | None, interval_ms: int) -> None:
    """Append a device to the file; raises `SettingsError` if the name is taken or malformed."""
    if any(entry.config.name == name for entry in load_devices(home)):
        raise SettingsError(f"device {name!r} exists already in {home.devices}")
    lines = [f"[devices.{name}]", f"profile = {_quote(profile)}"]
    if address is not None:
        lines.append(f"address = {_quote(address)}")
    lines.append(f"interval_ms = {interval_ms}")
    _append(home, lines)


def bind_session(home: Home, name: str, contract: str, session: str, record_every_ms: int) -> None:
    """Let a device's anchored readings be recorded in a contract session."""
    text = _read(home)
    if name not in tomllib.loads(text).get("devices", {}):
        raise SettingsError(f"no device {name!r} in {home.devices}")
    block = [
        f"[[devices.{name}.sessions]]",
        f"contract = {_quote(contract)}",
        f"session = {_quote(session)}",
        f"record_every_ms = {record_every_ms}",
    ]
    head, tail = _split_at_device(text, name)
    _replace(home, "\n".join([head.rstrip(), "", *block, "", tail.lstrip("\n")]).rstrip() + "\n")


def remove_device(home: Home, name: str) -> None:
    """Remove a device's sections from the file; its stored readings stay."""
    text = _read(home)
    if name not in tomllib.loads(text).get("devices", {}):
        raise SettingsError(f"no device {name!r} in {home.devices}")
    kept, skipping = [], False
    for line in text.splitlines():
        if line.lstrip().startswith("["):
            skipping = _section_of(line) == name
        if not skipping:
            kept.append(line)
    _replace(home, "\n".join(kept).rstrip() + "\n")


def _entry(name: str, table: object) -> DeviceEntry:
    if not topics.is_name(name):
        raise SettingsError(f"devices.{name}: not a device name: use {topics.NAME_RULE}")
    try:
        device = msgspec.convert(table, _Device)
    except msgspec.ValidationError as error:
        raise SettingsError(f"devices.{name}: {explain(error)}") from None
    try:
        address = parse_address(device.address) if device.address is not None else None
        sessions = tuple(
            SessionBinding(parse_chain_address(s.contract), s.session, s.record_every_ms)
            for s in device.sessions
        )
    except (SettingsError, CodecError) as error:
        raise SettingsError(f"devices.{name}: {error}") from None
    return DeviceEntry(DeviceConfig(name, device.profile, address, device.interval_ms), sessions)


def _quote(text: str) -> str:
    return msgspec.json.encode(text).decode()  # a JSON string is a TOML basic string


def _section_of(line: str) -> str | None:
    match = re.match(r'\s*\[\[?\s*devices\s*\.\s*"?([^\]."]+)', line)
    return match.group(1).strip() if match else None


def _split_at_device(text: str, name: str) -> tuple[str, str]:
    """Split the file after the last line of a device's sections."""
    lines = text.splitlines(keepends=True)
    end = len(lines)
    inside = False
    for number, line in enumerate(lines):
        if line.lstrip().startswith("["):
            if inside and _section_of(line) != name:
                end = number
                break
            inside = inside or _section_of(line) == name
    return "".join(lines[:end]), "".join(lines[end:])


def _read(home: Home) -> str:
    load_devices(home)
    return home.devices.read_text()


def _append(home: Home, lines: list[str]) -> None:
    text = home.devices.read_text() if home.devices.exists() else ""
    _replace(home, text.rstrip() + ("\n\n" if text.strip() else "") + "\n".join(lines) + "\n")


def _replace(home: Home, text: str) -> None:
    """Write the file after checking that what would be written can be read back."""
    try:
        file = msgspec.convert(tomllib.loads(text), _File)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{home.devices}: the change would break the file: {error}") from None
    except msgspec.ValidationError as error:
        raise SettingsError(f"{home.devices}: {explain(error)}") from None
    for name, table in file.devices.items():
        _entry(name, table)
    write_atomic(home.devices, text.encode())
