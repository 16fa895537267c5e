"""Grants as files: one line of text each, and the two that a node shows to others.

`sspgrant1:` and base64url: it fits a mail, a label, a QR code.
"""

import base64
import binascii
from pathlib import Path

from gateway.errors import SettingsError
from gateway.settings import Home
from ledger.identity.grant import decode_grant
from ledger.identity.refusals import Refused

GRANT_TEXT_PREFIX = "sspgrant1:"
GRANT_FILE_BYTES_MAX = 8 * 1024


def format_grant(raw: bytes) -> str:
    """Return a grant as a line of text."""
    return GRANT_TEXT_PREFIX + base64.urlsafe_b64encode(raw).decode().rstrip("=")


def parse_grant(text: str) -> bytes:
    """Return the bytes of a grant's line of text; raises `SettingsError`."""
    line = text.strip()
    if not line.startswith(GRANT_TEXT_PREFIX):
        raise SettingsError(f"not a grant: it does not start with {GRANT_TEXT_PREFIX}")
    encoded = line.removeprefix(GRANT_TEXT_PREFIX)
    try:
        raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise SettingsError("not a grant: a character is missing or was changed") from None
    decoded = decode_grant(raw)
    if isinstance(decoded, Refused):
        raise SettingsError(f"not a grant: {decoded.detail}")
    return raw


def load_grant(path: Path) -> bytes:
    """Return the grant in a file; raises `SettingsError` naming the file."""
    try:
        with path.open("rb") as file:
            data = file.read(GRANT_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        return parse_grant(data.decode("ascii"))
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: not a grant: it is no text") from None
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from None


def grant_files(home: Home) -> tuple[Path, Path]:
    """Return where the manufacturer's and the unit's grant stand."""
    return home.grants / "manufacturer.grant", home.grants / "unit.grant"


def load_own_grants(home: Home) -> tuple[bytes, ...]:
    """Return both grants; nothing where none were installed. Raises `SettingsError`."""
    files = grant_files(home)
    if not any(path.exists() for path in files):
        return ()
    return tuple(load_grant(path) for path in files)
