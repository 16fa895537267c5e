"""A signed transaction as one line of text in a file: it is carried to a node that reaches the chain.

`ssptx1:` and base64url. Whoever carries it can neither change it nor use it twice.
"""

import base64
import binascii
from pathlib import Path

from gateway.errors import SettingsError
from gateway.settings import write_atomic
from ledger.params import TRANSACTION_BYTES_MAX

PREFIX = "ssptx1:"
_FILE_BYTES_MAX = 2 * TRANSACTION_BYTES_MAX


def write_carried(path: Path, raw: bytes) -> None:
    """Write a signed transaction to a new file; raises `SettingsError`."""
    if path.exists():
        raise SettingsError(f"{path} exists: name another file")
    text = PREFIX + base64.urlsafe_b64encode(raw).decode().rstrip("=")
    try:
        write_atomic(path, text.encode() + b"\n")
    except OSError as error:
        raise SettingsError(f"{path}: cannot be written: {error.strerror}") from None


def read_carried(path: Path) -> bytes:
    """Return the transaction in a file; raises `SettingsError`. Whether it is valid, the ledger says."""
    try:
        with path.open("rb") as file:
            data = file.read(_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    line = data.strip()
    if len(data) > _FILE_BYTES_MAX or not line.startswith(PREFIX.encode()):
        raise SettingsError(f"{path}: not a signed transaction: it does not start with {PREFIX}")
    encoded = line.removeprefix(PREFIX.encode())
    try:
        return base64.b64decode(encoded + b"=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise SettingsError(
            f"{path}: not a signed transaction: a character is missing or was changed"
        ) from None
