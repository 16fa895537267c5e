"""One strict verdict on every published edge case, whichever library does the arithmetic.

Sources of the vectors: each file in `tests/data` says its own. Our rule (see `ledger/crypto/ed25519.py`) is stricter
than RFC 8032 in one way, which the tables below spell out: keys and R of small order are refused.
"""

import json
from collections import Counter
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.crypto import ed25519

DATA = Path(__file__).parents[3] / "data"
SIGNATURE_BYTES = 64


def load(name):
    return json.loads((DATA / name).read_text())["vectors"]


def bytes_of(vector):
    return tuple(bytes.fromhex(vector[name]) for name in ("key", "message", "signature"))


WYCHEPROOF = load("ed25519_wycheproof.json")
SPECCHECK = load("ed25519_speccheck.json")

# Of the ten cases of "Taming the Many EdDSAs": only this one, whose A and R are of mixed order and hold both
# equations, is accepted. 0-2: small order; 4, 5: the cofactored equation alone; 6, 7: S >= L; 8, 9: not canonical.
SPECCHECK_ACCEPTED = {3}


def verify_with_cryptography(key, message, signature):
    """Our pre-checks, written again, in front of OpenSSL's arithmetic."""
    order = 2**252 + 27742317777372353535851937790883648493
    if len(key) != 32 or len(signature) != SIGNATURE_BYTES:
        return False
    if int.from_bytes(signature[32:], "little") >= order:
        return False
    if not (ed25519.is_canonical_point(key) and ed25519.is_canonical_point(signature[:32])):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


@pytest.mark.parametrize("vector", SPECCHECK, ids=lambda vector: f"speccheck-{vector['id']}")
def test_speccheck(vector):
    expected = vector["id"] in SPECCHECK_ACCEPTED

    assert ed25519.verify_strict(*bytes_of(vector)) is expected
    assert verify_with_cryptography(*bytes_of(vector)) is expected


@pytest.mark.parametrize("vector", WYCHEPROOF, ids=lambda vector: f"wycheproof-{vector['id']}")
def test_wycheproof(vector):
    """Valid is valid and invalid is invalid; of the merely acceptable, small-order keys are refused."""
    expected = vector["result"] == "valid"
    if vector["result"] == "acceptable":
        expected = "SmallOrderPublicKey" not in vector["flags"]

    assert ed25519.verify_strict(*bytes_of(vector)) is expected
    assert verify_with_cryptography(*bytes_of(vector)) is expected


def test_the_sets_are_whole():
    assert len(SPECCHECK) == 10
    assert [vector["id"] for vector in WYCHEPROOF] == list(range(1, 211))
    results = Counter(vector["result"] for vector in WYCHEPROOF)
    assert results == {"valid": 117, "invalid": 64, "acceptable": 29}


def test_both_libraries_agree_on_every_key_and_signature_crossed():
    """Each key of the sets with each tenth signature: almost all are wrong, and never for one library only."""
    vectors = [*SPECCHECK, *WYCHEPROOF]
    keys = sorted({vector["key"] for vector in vectors})
    for key in keys:
        for vector in vectors[::10]:
            crossed = bytes_of(vector | {"key": key})
            assert ed25519.verify_strict(*crossed) is verify_with_cryptography(*crossed)
