"""The root secret at rest: 32 random bytes under Argon2id and XSalsa20-Poly1305 (SecretBox).

File, 109 bytes: magic 8 | version u8 | ops limit u32 | memory limit u64 (bytes) | salt 16 | box 72.
The limits stand in the file so that a later default does not lock out an older file. They need no
authentication of their own: other limits give another key, and the box does not open.
"""

import os
import struct
from dataclasses import dataclass
from pathlib import Path

from nacl.exceptions import CryptoError, RuntimeError as DerivationError
from nacl.pwhash import argon2id
from nacl.secret import SecretBox

from gateway.errors import AgentError
from gateway.smart_agent.private_files import read_private, write_private

ROOT_SECRET_BYTES = 32

_MAGIC = b"ssp-key\0"
_VERSION = 1
_HEADER = struct.Struct(f">8sBIQ{argon2id.SALTBYTES}s")
_BOX_BYTES = SecretBox.NONCE_SIZE + SecretBox.MACBYTES + ROOT_SECRET_BYTES
_FILE_BYTES = _HEADER.size + _BOX_BYTES
# A damaged header must not make us ask for all memory or run for hours.
_OPS_MAX = 16
_MEMORY_BYTES_MAX = argon2id.MEMLIMIT_SENSITIVE


@dataclass(frozen=True, slots=True)
class KdfLimits:
    """The work of Argon2id: passes over memory, and how many bytes of it."""

    ops: int
    memory_bytes: int


MODERATE = KdfLimits(argon2id.OPSLIMIT_MODERATE, argon2id.MEMLIMIT_MODERATE)
# For an unlock secret of 32 random bytes that was made in the same step. Argon2id stretches what a person chose;
# 2^256 guesses are out of reach whatever one costs, and the least work spares each start a second and 256 MiB.
LEAST = KdfLimits(argon2id.OPSLIMIT_MIN, argon2id.MEMLIMIT_MIN)


def create_sealed_key(path: Path, unlock_secret: bytes, limits: KdfLimits) -> bytes:
    """Make a new root secret, seal it into `path` durably, and return it (32 bytes)."""
    root_secret = os.urandom(ROOT_SECRET_BYTES)
    seal_secret(path, root_secret, unlock_secret, limits)
    return root_secret


def seal_secret(path: Path, secret: bytes, unlock_secret: bytes, limits: KdfLimits) -> None:
    """Seal a secret of 32 bytes into `path`, durably, in place of whatever is there."""
    assert len(secret) == ROOT_SECRET_BYTES
    salt = os.urandom(argon2id.SALTBYTES)
    header = _HEADER.pack(_MAGIC, _VERSION, limits.ops, limits.memory_bytes, salt)
    box = SecretBox(_derive_key(unlock_secret, salt, limits))
    write_private(path, header + bytes(box.encrypt(secret)))


def open_sealed_key(path: Path, unlock_secret: bytes) -> bytes:
    """Return the secret sealed in `path` (32 bytes); raise `AgentError` saying what is wrong."""
    secret = _read_sealed(path).open(unlock_secret)
    if secret is None:
        raise _wrong_secret(path)
    return secret


def check_opens(path: Path, *unlock_secrets: bytes) -> None:
    """Raise `AgentError` unless one of the secrets opens `path`."""
    sealed = _read_sealed(path)
    if all(sealed.open(one) is None for one in unlock_secrets):
        raise _wrong_secret(path)


def reseal(path: Path, old_secret: bytes, new_secret: bytes, limits: KdfLimits) -> None:
    """Seal what is in `path` under another unlock secret, durably, with the work that befits the new one.

    A crash leaves the file under the old or the new one. Where it is under the new one already, nothing is
    done. Raises `AgentError` where neither opens it.
    """
    sealed = _read_sealed(path)
    if sealed.open(new_secret) is not None:
        return
    secret = sealed.open(old_secret)
    if secret is None:
        raise _wrong_secret(path)
    seal_secret(path, secret, new_secret, limits)


@dataclass(frozen=True, slots=True)
class _Sealed:
    """A sealed file as it was read."""

    limits: KdfLimits
    salt: bytes
    box: bytes

    def open(self, unlock_secret: bytes) -> bytes | None:
        """Return the secret; None where this is not what it was sealed with, or it is damaged."""
        key = _derive_key(unlock_secret, self.salt, self.limits)
        try:
            return SecretBox(key).decrypt(self.box)
        except CryptoError:
            return None


def _read_sealed(path: Path) -> _Sealed:
    data = read_private(path, _FILE_BYTES)
    if len(data) != _FILE_BYTES:
        raise AgentError(f"{path} is damaged: {len(data)} bytes, not {_FILE_BYTES}: restore it")
    magic, version, ops, memory_bytes, salt = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise AgentError(f"{path} is not a sealed SmartAgent key: restore it")
    if version != _VERSION:
        raise AgentError(f"{path} has format {version}, this version reads {_VERSION}: update")
    if not (1 <= ops <= _OPS_MAX and argon2id.MEMLIMIT_MIN <= memory_bytes <= _MEMORY_BYTES_MAX):
        raise AgentError(f"{path} is damaged: impossible Argon2id limits: restore it")
    return _Sealed(KdfLimits(ops, memory_bytes), salt, data[_HEADER.size :])


def _wrong_secret(path: Path) -> AgentError:
    return AgentError(
        f"cannot unseal {path}: the unlock secret is not the one it was sealed with,"
        " or the file is damaged"
    )


def _derive_key(unlock_secret: bytes, salt: bytes, limits: KdfLimits) -> bytes:
    try:
        return argon2id.kdf(
            SecretBox.KEY_SIZE, unlock_secret, salt, limits.ops, limits.memory_bytes
        )
    except DerivationError:
        mebibytes = limits.memory_bytes >> 20
        raise AgentError(f"unsealing the key needs {mebibytes} MiB of free memory") from None
