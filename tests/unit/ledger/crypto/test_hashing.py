"""SHA-256 and HKDF against known answers and the definition."""

import hashlib
import hmac

from ledger.crypto.hashing import hkdf, sha256, sha256_repeated


def test_sha256_of_abc():
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256(b"abc").hex() == expected


def test_a_hash_chain_is_one_hash_after_the_other():
    assert sha256_repeated(b"abc", 0) == b"abc"
    assert sha256_repeated(b"abc", 1) == sha256(b"abc")
    assert sha256_repeated(b"abc", 3) == sha256(sha256(sha256(b"abc")))


def reference_hkdf(salt: bytes, secret: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869 sections 2.2 and 2.3, step by step."""
    extracted = hmac.new(salt, secret, hashlib.sha256).digest()
    block, output, counter = b"", b"", 1
    while len(output) < length:
        block = hmac.new(extracted, block + info + bytes([counter]), hashlib.sha256).digest()
        output, counter = output + block, counter + 1
    return output[:length]


def test_the_reference_knows_the_first_case_of_rfc_5869():
    output = reference_hkdf(bytes(range(13)), b"\x0b" * 22, bytes(range(0xF0, 0xFA)), 42)
    assert output.hex() == (
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    )


def test_hkdf_is_rfc_5869_with_our_salt_and_a_label():
    for label in ("node", "wallet", ""):
        expected = reference_hkdf(b"smartshare/hkdf/1", b"root secret", label.encode(), 32)
        assert hkdf(b"root secret", label) == expected


def test_labels_and_secrets_separate():
    seeds = {hkdf(secret, label) for secret in (b"a", b"b") for label in ("node", "wallet")}
    assert len(seeds) == 4
