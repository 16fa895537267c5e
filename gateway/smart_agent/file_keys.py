"""The `file:` provider: seeds derived from the one sealed root secret (HKDF, a label a purpose)."""

from gateway.smart_agent.keys import Purpose
from ledger.crypto import ed25519
from ledger.crypto.hashing import hkdf


class FileKeys:
    """Key pairs in this process's memory; nothing prints them."""

    __slots__ = ("_public_keys", "_seeds")

    def __init__(self, root_secret: bytes) -> None:
        self._seeds = {
            purpose: hkdf(root_secret, f"smartshare/{purpose.value}/1") for purpose in Purpose
        }
        self._public_keys = {
            purpose: ed25519.derive_public_key(seed) for purpose, seed in self._seeds.items()
        }

    def __repr__(self) -> str:
        return "FileKeys(sealed)"

    def public_key(self, purpose: Purpose) -> bytes:
        """Return a public key, 32 bytes."""
        return self._public_keys[purpose]

    def sign(self, purpose: Purpose, message: bytes) -> bytes:
        """Return a 64-byte Ed25519 signature."""
        return ed25519.sign(self._seeds[purpose], message)
