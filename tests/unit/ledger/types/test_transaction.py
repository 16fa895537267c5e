"""Transactions: their canonical bytes are fixed, and every field keeps within its limits."""

import msgspec
import pytest

from ledger.codec import canonical
from ledger.errors import CodecError
from ledger.params import AMOUNT_MAX, ANCHOR_READINGS_MAX, CONTRACT_CALL_GAS_MAX
from ledger.types.transaction import (
    Anchor,
    Body,
    CallContract,
    CreateCoin,
    DeployContract,
    RegisterDevice,
    RegisterNode,
    SignedTransaction,
    Transaction,
    Transfer,
    TransferCoin,
)

A, B, H = b"\xaa" * 32, b"\xbb" * 32, b"\x11" * 32
BODIES: list[tuple[Body, int]] = [
    (Transfer(A, 1), 1),
    (RegisterNode(A, B, bytes(64), bytes(64)), 2),
    (RegisterDevice(H, H), 3),
    (Anchor(H, H, 1, 1, 0, 0, H, H), 4),
    (CreateCoin("PARK", "Parking", 2, 100, 100), 5),
    (TransferCoin(H, A, 1), 6),
    (DeployContract("return {}", "", b"\x90", 0), 7),
    (CallContract(H, "settle", b"\x90", 0, 0), 8),
]
TRANSACTIONS = canonical.Decoder(Transaction)


def build(body: Body) -> Transaction:
    return Transaction(H, A, 0, A, 1_000, 10, body)


@pytest.mark.parametrize(("body", "tag"), BODIES, ids=[type(b).__name__ for b, _ in BODIES])
def test_every_kind_has_its_tag_and_comes_back(body, tag):
    assert canonical.encode(body)[1] == tag
    assert TRANSACTIONS.decode(canonical.encode(build(body))) == build(body)


def test_the_bytes_of_a_transfer_are_fixed_for_ever():
    data = canonical.encode(build(Transfer(B, 7)))
    expected = (
        b"\x97"
        + b"\xc4\x20"
        + H
        + b"\xc4\x20"
        + A
        + b"\x00"
        + b"\xc4\x20"
        + A
        + b"\xcd\x03\xe8"
        + b"\x0a"
        + b"\x93\x01"
        + b"\xc4\x20"
        + B
        + b"\x07"
    )
    assert data == expected


@pytest.mark.parametrize(
    "body",
    [
        Transfer(A[:31], 1),
        Transfer(A + b"\x00", 1),
        Transfer(A, -1),
        Transfer(A, AMOUNT_MAX + 1),
        RegisterNode(A, b"", bytes(64), bytes(64)),
        Anchor(H, H, 1, 0, 0, 0, H, H),
        Anchor(H, H, 1, ANCHOR_READINGS_MAX + 1, 0, 0, H, H),
        CreateCoin("", "", 0, 1, 1),
        CreateCoin("park", "", 0, 1, 1),
        CreateCoin("P" * 13, "", 0, 1, 1),
        CreateCoin("PARK", "n" * 65, 0, 1, 1),
        CreateCoin("PARK", "", 19, 1, 1),
        CallContract(H, "Settle", b"\x90", 0, 0),
        CallContract(H, "settle", b"\x90", 0, CONTRACT_CALL_GAS_MAX + 1),
    ],
)
def test_a_field_outside_its_limits_does_not_decode(body):
    with pytest.raises(CodecError):
        TRANSACTIONS.decode(canonical.encode(build(body)))


def test_an_unknown_kind_or_one_field_more_does_not_decode():
    good = msgspec.msgpack.decode(canonical.encode(build(Transfer(A, 1))))
    for body in ([99, A, 1], [1, A], [1, A, 1, 0], [A, 1], None):
        with pytest.raises(CodecError):
            TRANSACTIONS.decode(canonical.encode([*good[:-1], body]))
    with pytest.raises(CodecError):
        TRANSACTIONS.decode(canonical.encode([*good, 0]))


def test_the_envelope_has_one_or_two_signatures_of_64_bytes():
    envelopes = canonical.Decoder(SignedTransaction)
    for fee_signature in (None, bytes(64)):
        envelope = SignedTransaction(b"payload", bytes(64), fee_signature)
        assert envelopes.decode(canonical.encode(envelope)) == envelope
    for signature, fee_signature in ((bytes(63), None), (bytes(64), b""), (bytes(65), None)):
        with pytest.raises(CodecError):
            envelopes.decode(canonical.encode(SignedTransaction(b"", signature, fee_signature)))
