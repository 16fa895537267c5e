"""A profile file to a checked `Profile`, or one line `file:line: what is wrong, what to write`."""

import difflib
import re
from pathlib import Path as FilePath

import msgspec

from gateway.errors import ProfileError
from gateway.profiles import profile as types
from gateway.profiles.checks import check_profile
from gateway.profiles.document import FILE_BYTES_MAX, Document, Path, Plain, parse_document
from gateway.profiles.profile import Profile

_STEP = re.compile(r"\.([A-Za-z_0-9]+)|\[([0-9]+)\]")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`")
_PLACE = re.compile(r" - at (?:`key` in )?`\$(.*)`\Z", re.DOTALL)


def load_profile(path: FilePath) -> Profile:
    """Return the profile in a file; raise `ProfileError` with one line."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ProfileError(f"{path}: cannot be read: {error.strerror}") from None
    return parse_profile(raw, str(path), path.stem)


def parse_profile(raw: bytes, file: str, name: str | None = None) -> Profile:
    """Return the profile in YAML text; `name` is what it must be called, the file's name."""
    document = parse_document(raw, file)
    try:
        profile = msgspec.convert(document.data, Profile)
    except msgspec.ValidationError as error:
        raise _explain(document, str(error)) from None
    for path, what in check_profile(profile):
        raise document.error(path, what)
    if name is not None and profile.name != name:
        raise document.error(
            ("name",), f"name is {profile.name}; write `name: {name}`, as the file"
        )
    return profile


def _explain(document: Document, text: str) -> ProfileError:
    """Return msgspec's message with file and line, and with the way out."""
    place = _PLACE.search(text)
    message = text[: place.start()] if place else text
    path: Path = tuple(
        key or int(index) for key, index in _STEP.findall(place.group(1) if place else "")
    )
    unknown = _UNKNOWN.fullmatch(message)
    if unknown:
        key = unknown.group(1)
        return document.error((*path, key), f"unknown key {key[:40]!r}; {_advise(key)}")
    missing = _MISSING.fullmatch(message)
    if missing:
        return document.error(path, f"`{missing.group(1)}:` is missing; add it")
    key = str(path[-1]) if path else "the file"
    return document.error(path, f"{key}: {_say(message, _value_at(document.data, path))}")


def _advise(key: str) -> str:
    known = {
        name
        for kind in vars(types).values()
        if isinstance(kind, type) and issubclass(kind, types.Part)
        for name in kind.__struct_fields__
    }
    near = difflib.get_close_matches(key, sorted(known), 1)
    return f"did you mean `{near[0]}`?" if near else "remove it"


def _say(message: str, value: Plain) -> str:
    text = message[:1].lower() + message[1:]
    if isinstance(value, str | int) and not isinstance(value, bool):
        text += f"; it is {str(value)[:40]!r}"
    return text


def _value_at(data: Plain, path: Path) -> Plain:
    for step in path:
        if isinstance(data, dict) and isinstance(step, str):
            data = data.get(step)
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            return None
    return data
