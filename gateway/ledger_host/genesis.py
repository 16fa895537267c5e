"""Reading a genesis file from disk, and what it alone says of identities."""

from pathlib import Path

from gateway.errors import SettingsError
from gateway.settings import Home
from ledger.errors import GenesisError
from ledger.identity.facts import LeaseFacts
from ledger.types.genesis import Genesis
from ledger.types.genesis_file import genesis_chain_id, parse_genesis

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


class GenesisFacts:
    """`IdentityFacts` for somebody who has the genesis and no chain: nothing is revoked or leased."""

    def __init__(self, genesis: Genesis) -> None:
        self.chain_id = genesis_chain_id(genesis)
        self.foundation = genesis.foundation

    def is_revoked(self, _grant_id: bytes, /) -> bool:
        """Unknown here, so no."""
        return False

    def is_retired(self, _node_id: bytes, /) -> bool:
        """Unknown here, so no."""
        return False

    def is_listed(self, _measurement: bytes, /) -> bool:
        """Nothing is known to be listed."""
        return False

    def lease(self, _node_id: bytes, /) -> LeaseFacts | None:
        """Nobody is known to hold a lease."""
        return None
