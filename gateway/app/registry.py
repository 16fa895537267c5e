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

# [devices.NAME] and [[devices.NAME.sessions]]; TOML allows blanks, and quotes round a name.
_HEADER = re.compile(r"""\[\[?\s*devices\s*\.\s*(?P<name>"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)\s*[.\]]""")
_BLANK_LINES = re.compile(r"\n{3,}")


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
    block = [f"[devices.{name}]", f"profile = {_quote(profile)}"]
    if address is not None:
        block.append(f"address = {_quote(address)}")
    block.append(f"interval_ms = {interval_ms}")
    lines = _read_lines(home)
    _replace(home, [*lines, "", *block])


def bind_session(home: Home, name: str, contract: str, session: str, record_every_ms: int) -> None:
    """Let a device's anchored readings be recorded in a contract session."""
    lines, sections = _find_device(home, name)
    block = [
        "",
        f"[[devices.{name}.sessions]]",
        f"contract = {_quote(contract)}",
        f"session = {_quote(session)}",
        f"record_every_ms = {record_every_ms}",
    ]
    end = sections[-1].stop
    _replace(home, [*lines[:end], *block, *lines[end:]])


def remove_device(home: Home, name: str) -> None:
    """Remove a device's sections from the file; its stored readings stay."""
    lines, sections = _find_device(home, name)
    removed = {number for section in sections for number in section}
    kept = [line for number, line in enumerate(lines) if number not in removed]
    _replace(home, kept, without=name)


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


def _find_device(home: Home, name: str) -> tuple[list[str], list[range]]:
    """Return the file's lines and which of them are the device's, section by section.

    A section ends with its last line that says something: a comment behind it belongs to what
    follows. Raises `SettingsError` where there is no such device, or none with a header of its own.
    """
    entries = load_devices(home)
    if all(entry.config.name != name for entry in entries):
        raise SettingsError(f"no device {name!r} in {home.devices}")
    lines = _read_lines(home)
    sections: list[range] = []
    is_inside = False
    for number, line in enumerate(lines):
        text = line.strip()
        if text.startswith("["):
            is_inside = _section_of(text) == name
            if is_inside:
                sections.append(range(number, number + 1))
        elif is_inside and text and not text.startswith("#"):
            sections[-1] = range(sections[-1].start, number + 1)
    if not sections:
        raise SettingsError(
            f"{home.devices}: device {name!r} has no [devices.{name}] line of its own: edit the "
            "file by hand"
        )
    return lines, sections


def _section_of(header: str) -> str | None:
    match = _HEADER.match(header)
    return match["name"].strip("\"'") if match else None


def _read_lines(home: Home) -> list[str]:
    """Return the file's lines without their ends, or nothing where there is no file."""
    try:
        return home.devices.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SettingsError(f"{home.devices}: cannot be read: {error.strerror}") from None


def _replace(home: Home, lines: list[str], *, without: str | None = None) -> None:
    """Write the file after checking that what would be written can be read back."""
    text = _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip("\n") + "\n"
    try:
        file = msgspec.convert(tomllib.loads(text), _File)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{home.devices}: the change would break the file: {error}") from None
    except msgspec.ValidationError as error:
        raise SettingsError(f"{home.devices}: {explain(error)}") from None
    for name, table in file.devices.items():
        _entry(name, table)
    if without in file.devices:
        raise SettingsError(
            f"{home.devices}: device {without!r} is written in a form that only an editor can remove"
        )
    try:
        write_atomic(home.devices, text.encode())
    except OSError as error:
        raise SettingsError(f"{home.devices}: cannot be written: {error.strerror}") from None
