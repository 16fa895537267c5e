"""Ed25519 (RFC 8032) with one strict verdict, the same on every node.

Libraries disagree at the edges: small-order keys, non-canonical encodings, S >= L. Our rule is
libsodium's, with its checks stated here so that another library behind them gives the same answer:
S < L; A and R canonical and not of small order; the cofactorless equation. Never batch verification,
whose cofactored equation accepts what single verification refuses.
"""

from nacl._sodium import ffi, lib  # type: ignore[import-not-found]  # compiled, without stubs
from nacl.bindings import crypto_sign_seed_keypair, crypto_sign_SEEDBYTES
from nacl.bindings.crypto_sign import crypto_sign

from ledger.params import PUBLIC_KEY_BYTES, SIGNATURE_BYTES

SignatureClaim = tuple[bytes, bytes, bytes]  # public key, message, its signature

SEED_BYTES: int = crypto_sign_SEEDBYTES
# libsodium's own function: PyNaCl's wrapper of it makes room for the message and copies it out again,
# which costs 3 % of a verification. With nowhere to put the message it is not copied.
_open_signed, _NOWHERE = lib.crypto_sign_open, ffi.NULL
_FIELD_PRIME = 2**255 - 19
_GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493
_SIGN_BIT = 1 << 255
# The y coordinates of the eight points whose order divides 8 (curve25519's cofactor).
_ORDER_8_Y = int("05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826", 16)
_SMALL_ORDER_Y = frozenset({0, 1, _FIELD_PRIME - 1, _ORDER_8_Y, _FIELD_PRIME - _ORDER_8_Y})
# Whatever is of small order or not below p has one of these as its sixteenth byte, so a look at one
# byte passes 252 of 256 encodings.
_DOUBTFUL_BYTES = frozenset(
    y.to_bytes(32, "little")[15] for y in (*_SMALL_ORDER_Y, *range(_FIELD_PRIME, 2**255))
)
_SMALL_S_LAST_BYTE = _GROUP_ORDER >> 248  # a last byte below this one is of an S below 2**252 < L


def is_canonical_point(encoded: bytes) -> bool:
    """Tell whether 32 bytes encode a field element below p and not a point of small order."""
    if encoded[15] not in _DOUBTFUL_BYTES:
        return True
    y = int.from_bytes(encoded, "little") & (_SIGN_BIT - 1)
    return y < _FIELD_PRIME and y not in _SMALL_ORDER_Y


def is_public_key(key: bytes) -> bool:
    """Tell whether `key` may be registered: 32 bytes, canonical, not of small order."""
    return len(key) == PUBLIC_KEY_BYTES and is_canonical_point(key)


def verify_strict(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether `signature` (64 bytes) is `public_key`'s over `message`; any bad input is False."""
    if len(signature) != SIGNATURE_BYTES or len(public_key) != PUBLIC_KEY_BYTES:
        return False
    if (
        signature[63] >= _SMALL_S_LAST_BYTE
        and int.from_bytes(signature[32:], "little") >= _GROUP_ORDER
    ):
        return False
    # A look at one byte of each point, as `is_canonical_point` would: this runs for every transaction.
    if public_key[15] in _DOUBTFUL_BYTES and not is_canonical_point(public_key):
        return False
    if signature[15] in _DOUBTFUL_BYTES and not is_canonical_point(signature[:32]):
        return False
    signed = signature + message
    return bool(_open_signed(_NOWHERE, _NOWHERE, signed, len(signed), public_key) == 0)


def derive_public_key(seed: bytes) -> bytes:
    """Return the public key of a 32-byte private seed."""
    public, _ = crypto_sign_seed_keypair(seed)
    return bytes(public)


def sign(seed: bytes, message: bytes) -> bytes:
    """Return the 64-byte deterministic signature over `message` by the key of `seed`."""
    return SigningKey(seed).sign(message)


class SigningKey:
    """A private key ready to sign: half the work of `sign`, which derives it each time."""

    __slots__ = ("_secret", "public_key")

    def __init__(self, seed: bytes) -> None:
        public, self._secret = crypto_sign_seed_keypair(seed)
        self.public_key = bytes(public)

    def __repr__(self) -> str:
        return f"SigningKey(of {self.public_key.hex()})"

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte deterministic signature over `message`."""
        return bytes(crypto_sign(message, self._secret)[:SIGNATURE_BYTES])
