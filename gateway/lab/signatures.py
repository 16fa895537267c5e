"""Two ways to sign in a laboratory: real Ed25519, and a keyed hash that is some fifty times faster.

Both know every secret of the run; nobody in it can sign for another. A verdict is remembered by the
very bytes it is about, so 99 nodes in one process pay for one verification of each signature.
"""

import hashlib
from typing import Protocol

from ledger.crypto.ed25519 import derive_public_key, sign, verify_strict

REMEMBERED_MAX = 200_000  # verdicts: a few slots of 99 agents


class SignatureScheme(Protocol):
    """Keys from seeds, signatures and verdicts."""

    def public_key(self, seed: bytes) -> bytes:
        """Return the public key of a 32-byte seed."""
        ...

    def sign(self, seed: bytes, message: bytes) -> bytes:
        """Return a 64-byte signature."""
        ...

    def check(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        """Tell whether a signature is genuine."""
        ...


class Ed25519Scheme:
    """The product's own signatures."""

    def __init__(self) -> None:
        self._verdicts: dict[tuple[bytes, bytes, bytes], bool] = {}

    def public_key(self, seed: bytes) -> bytes:
        """Return the Ed25519 public key."""
        return derive_public_key(seed)

    def sign(self, seed: bytes, message: bytes) -> bytes:
        """Return an Ed25519 signature."""
        return sign(seed, message)

    def check(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        """Verify strictly, each signature once."""
        key = (public_key, message, signature)
        verdict = self._verdicts.get(key)
        if verdict is None:
            if len(self._verdicts) >= REMEMBERED_MAX:
                self._verdicts.clear()
            verdict = self._verdicts[key] = verify_strict(public_key, message, signature)
        return verdict


class KeyedHashScheme:
    """Signatures that only the holder of a seed can make, verified by whoever knows all seeds."""

    def __init__(self) -> None:
        self._seeds: dict[bytes, bytes] = {}

    def public_key(self, seed: bytes) -> bytes:
        """Return the name of a seed."""
        key = hashlib.blake2b(seed, digest_size=32, person=b"lab-key").digest()
        self._seeds[key] = seed
        return key

    def sign(self, seed: bytes, message: bytes) -> bytes:
        """Return 64 bytes that depend on seed and message."""
        return hashlib.blake2b(message, key=seed, digest_size=64).digest()

    def check(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        """Tell whether the holder of the key's seed made the signature."""
        seed = self._seeds.get(public_key)
        return seed is not None and self.sign(seed, message) == signature
