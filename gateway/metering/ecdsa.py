"""ECDSA with SHA-256 on the two curves that OCMF and our keys share: the only importer of these primitives.

Keys are derived from a secret: 64 bytes of HKDF, reduced, so that the bias is far below what can be noticed.
Signatures are deterministic (RFC 6979), in DER; public keys are DER SubjectPublicKeyInfo, as OCMF wants them.
"""

import enum

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from ledger.crypto.hashing import hkdf


class Curve(enum.Enum):
    """The value is the curve's name in OCMF."""

    SECP256R1 = "secp256r1"
    SECP256K1 = "secp256k1"


_CURVES: dict[Curve, ec.EllipticCurve] = {
    Curve.SECP256R1: ec.SECP256R1(),
    Curve.SECP256K1: ec.SECP256K1(),
}
_ORDERS = {
    Curve.SECP256R1: 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    Curve.SECP256K1: 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141,
}


class EcdsaKey:
    """A private key in memory; nothing prints it."""

    __slots__ = ("_key", "curve", "public_der")

    def __init__(self, secret: bytes, curve: Curve) -> None:
        label = f"smartshare/ocmf-{curve.value}/1"
        wide = int.from_bytes(hkdf(secret, f"{label}/a") + hkdf(secret, f"{label}/b"), "big")
        number = wide % (_ORDERS[curve] - 1) + 1
        self._key = ec.derive_private_key(number, _CURVES[curve])
        self.curve = curve
        self.public_der = self._key.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )

    def __repr__(self) -> str:
        return "EcdsaKey(sealed)"

    def sign(self, message: bytes) -> bytes:
        """Return the DER signature over SHA-256 of `message`."""
        algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
        return self._key.sign(message, algorithm)


def verify(public_der: bytes, curve: Curve, message: bytes, signature: bytes) -> bool:
    """Tell whether `signature` (DER) is the key's over `message`; a key of another kind is False."""
    try:
        key = load_der_public_key(public_der)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != curve.value:
        return False
    try:
        key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True
