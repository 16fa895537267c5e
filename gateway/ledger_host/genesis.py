"""Reading a genesis file from disk."""

from pathlib import Path

from gateway.errors import SettingsError
from gateway.settings import Home
from ledger.errors import GenesisError
from ledger.types.genesis import Genesis
from ledger.types.genesis_file import parse_genesis

GENESIS_BYTES_MAX = 16 * 1024 * 1024  # a hundred thousand first balances


def load_genesis(home: Home) -> Genesis:
    """Return the home's genesis; raises `SettingsError` or `GenesisError` with one line."""
    return read_genesis(home.genesis)


def read_genesis(path: Path) -> Genesis:
    """Return a genesis file's content; raises `SettingsError` or `GenesisError` with one line."""
    try:
        with path.open("rb") as file:
            data = file.read(GENESIS_BYTES_MAX + 1)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > GENESIS_BYTES_MAX:
        raise GenesisError(f"{path}: more than {GENESIS_BYTES_MAX} bytes; this is no genesis file")
    try:
        return parse_genesis(data.decode())
    except UnicodeDecodeError:
        raise GenesisError(f"{path}: not UTF-8 text; restore the file") from None
    except GenesisError as error:
        raise GenesisError(f"{path}: {error}") from None
