"""The `file:` provider: seeds derived from the one sealed root secret (HKDF, a label a purpose)."""

from gateway.smart_agent.keys import Purpose
from ledger.crypto.ed25519 import SigningKey
from ledger.crypto.hashing import hkdf


class FileKeys:
    """Key pairs in this process's memory; nothing prints them."""

    __slots__ = ("_keys",)

    def __init__(self, root_secret: bytes) -> None:
        self._keys = {
            purpose: SigningKey(hkdf(root_secret, f"smartshare/{purpose.value}/1"))
            for purpose in Purpose
        }

    def __repr__(self) -> str:
        return "FileKeys(sealed)"

    def public_key(self, purpose: Purpose) -> bytes:
        """Return a public key, 32 bytes."""
        return self._keys[purpose].public_key

    def sign(self, purpose: Purpose, message: bytes) -> bytes:
        """Return a 64-byte Ed25519 signature."""
        return self._keys[purpose].sign(message)
