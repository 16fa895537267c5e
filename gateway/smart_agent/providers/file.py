"""The `file:` provider: seeds derived from the one sealed root secret (HKDF, a label a purpose).

`file:NAME` names a sealed file in the agent's folder. A wallet that was imported from recovery words has a
sealed file of its own, `wallet.key`, which takes the place of the derived wallet key.
"""

from pathlib import Path

from gateway.errors import AgentError
from gateway.smart_agent.keys import KeyPlace, Purpose
from gateway.smart_agent.sealed_key import create_sealed_key, open_sealed_key
from gateway.smart_agent.unlock import load_unlock
from ledger.crypto.ed25519 import SigningKey
from ledger.crypto.hashing import hkdf

WALLET_FILE = "wallet.key"


class FileKeys:
    """Key pairs in this process's memory; nothing prints them."""

    __slots__ = ("_keys", "_root_secret")

    def __init__(self, root_secret: bytes, wallet_seed: bytes | None = None) -> None:
        self._root_secret = root_secret
        seeds = {purpose: derive_seed(root_secret, purpose) for purpose in Purpose}
        if wallet_seed is not None:
            seeds[Purpose.WALLET] = wallet_seed
        self._keys = {purpose: SigningKey(seed) for purpose, seed in seeds.items()}

    def __repr__(self) -> str:
        return "FileKeys(sealed)"

    def public_key(self, purpose: Purpose) -> bytes:
        """Return a public key, 32 bytes."""
        return self._keys[purpose].public_key

    def sign(self, purpose: Purpose, message: bytes) -> bytes:
        """Return a 64-byte Ed25519 signature."""
        return self._keys[purpose].sign(message)

    def onion_secret(self) -> bytes:
        """Return the 32-byte secret of the order commitments."""
        return hkdf(self._root_secret, "smartshare/order-commitment/1")

    def close(self) -> None:
        """Nothing is held open."""


def derive_seed(root_secret: bytes, purpose: Purpose) -> bytes:
    """Return the 32-byte seed of a purpose's key pair."""
    return hkdf(root_secret, f"smartshare/{purpose.value}/1")


def make_keys(uri: str, place: KeyPlace) -> FileKeys:
    """Seal a new root secret into the file that `uri` names."""
    secret = load_unlock(place.unlock)
    return FileKeys(create_sealed_key(sealed_path(uri, place), secret, place.limits))


def open_keys(uri: str, place: KeyPlace) -> FileKeys:
    """Unseal the root secret, and the imported wallet where there is one."""
    secret = load_unlock(place.unlock)
    wallet = place.folder / WALLET_FILE
    wallet_seed = open_sealed_key(wallet, secret) if wallet.exists() else None
    return FileKeys(open_sealed_key(sealed_path(uri, place), secret), wallet_seed)


def list_sealed_files(uri: str, place: KeyPlace) -> tuple[Path, ...]:
    """Return what the unlock secret opens: the root secret, and the imported wallet where there is one."""
    wallet = place.folder / WALLET_FILE
    return (sealed_path(uri, place), *((wallet,) if wallet.exists() else ()))


def sealed_path(uri: str, place: KeyPlace) -> Path:
    """Return where the root secret lies; raise `AgentError` unless it is a plain name."""
    name = uri.partition(":")[2]
    if not name or Path(name).name != name:
        raise AgentError(f"key {uri!r} is not `file:NAME`, a file in {place.folder}")
    return place.folder / name
