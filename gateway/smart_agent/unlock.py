"""Where the secret that unseals the key comes from: a systemd credential, or a file of its own.

A credential can be kept by a TPM, off the SD card. The file stands beside the sealed key: it keeps
the key out of a careless copy of one file, not from a thief of the card.
"""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import AgentError
from gateway.smart_agent.private_files import read_private, write_private

CREDENTIAL_NAME = "smartshare-unlock"
PIN_CREDENTIAL_NAME = "smartshare-pin"

_FILE_NAME = "unlock"
_PIN_FILE_NAME = "pin"
SECRET_BYTES = 32
_SECRET_LENGTH_MAX = 4096


@dataclass(frozen=True, slots=True)
class UnlockSource:
    """A place that holds an unlock secret. systemd guards the access to a credential itself."""

    path: Path
    is_credential: bool


def find_unlock(folder: Path) -> UnlockSource:
    """Return the systemd credential where the service has one, else the file in `folder`."""
    return _find(folder, CREDENTIAL_NAME, _FILE_NAME)


def find_pin(folder: Path) -> UnlockSource:
    """Return where the PIN of a token is whose URI does not say it: a credential, or a file."""
    return _find(folder, PIN_CREDENTIAL_NAME, _PIN_FILE_NAME)


def _find(folder: Path, credential_name: str, file_name: str) -> UnlockSource:
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if credentials and (Path(credentials) / credential_name).exists():
        return UnlockSource(Path(credentials) / credential_name, is_credential=True)
    return UnlockSource(folder / file_name, is_credential=False)


def create_unlock(source: UnlockSource) -> bool:
    """Write a random secret to a source that is a file and does not exist yet; return whether it was made."""
    if source.is_credential or source.path.exists():
        return False
    write_private(source.path, random_secret() + b"\n")
    return True


def random_secret() -> bytes:
    """Return 32 random bytes in hexadecimal."""
    return secrets.token_hex(SECRET_BYTES).encode()


def load_unlock(source: UnlockSource) -> bytes:
    """Return the secret without its line end; raise `AgentError` when it is missing or empty."""
    secret = (_read_credential if source.is_credential else _read_file)(source.path).strip()
    if not secret:
        raise AgentError(f"the secret in {source.path} is empty: put it back")
    return secret


def _read_file(path: Path) -> bytes:
    return read_private(path, _SECRET_LENGTH_MAX)


def _read_credential(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_SECRET_LENGTH_MAX)
    except OSError as error:
        raise AgentError(f"cannot read the credential {path}: {error.strerror}") from None
