"""What may stand in a block at all: form, signatures, nonce, expiry, fee and funds."""

import msgspec
import pytest

from ledger.codec import canonical
from ledger.crypto import domains, ed25519
from ledger.crypto.hashing import sha256
from ledger.errors import Reason, Rejected
from ledger.params import CONTRACT_CODE_BYTES_MAX, EXPIRY_HEIGHTS_MAX, TRANSACTION_BYTES_MAX
from ledger.state.keys import account_key
from ledger.state.transition import admit_transaction, check_transaction
from ledger.types.records import Account
from ledger.types.transaction import CallContract, DeployContract, SignedTransaction, Transfer
from tests.support.transactions import (
    ANNA,
    BEN,
    CARLA,
    CHAIN_ID,
    EXPIRY,
    FEE,
    HEIGHT,
    build,
    check,
    sign,
)

TRANSFER = Transfer(BEN.address, 100)
RAW = sign(build(ANNA, TRANSFER), ANNA)


def refuse(raw: bytes) -> Reason:
    refusal = check_transaction(raw, CHAIN_ID)
    assert isinstance(refusal, Rejected), refusal
    assert "\n" not in str(refusal)
    return refusal.reason


def open_envelope(raw: bytes) -> SignedTransaction:
    return canonical.Decoder(SignedTransaction).decode(raw)


def test_a_good_transaction_keeps_its_bytes_and_gets_its_id():
    checked = check_transaction(RAW, CHAIN_ID)
    assert not isinstance(checked, Rejected)
    payload = canonical.encode(build(ANNA, TRANSFER))
    assert (checked.raw, checked.size) == (RAW, len(RAW))
    assert checked.id == domains.transaction_id(payload)
    assert checked.transaction == build(ANNA, TRANSFER)


def test_every_flipped_byte_is_refused():
    for position in range(len(RAW)):
        for bit in (0x01, 0x80):
            changed = RAW[:position] + bytes([RAW[position] ^ bit]) + RAW[position + 1 :]
            refuse(changed)


def test_every_truncation_and_every_trailing_byte_is_malformed():
    for length in range(len(RAW)):
        assert refuse(RAW[:length]) is Reason.MALFORMED
    assert refuse(RAW + b"\x00") is Reason.MALFORMED


def test_an_oversized_transaction_is_refused_before_it_is_decoded():
    assert refuse(b"\xc1" * (TRANSACTION_BYTES_MAX + 1)) is Reason.TOO_LARGE


def test_a_payload_with_trailing_bytes_is_refused_even_if_signed():
    payload = canonical.encode(build(ANNA, TRANSFER)) + b"\x00"
    signature = ed25519.sign(ANNA.seed, domains.transaction_message(payload))
    assert refuse(canonical.encode(SignedTransaction(payload, signature, None))) is Reason.MALFORMED


def test_another_chain_is_refused():
    raw = sign(build(ANNA, TRANSFER, chain_id=sha256(b"another")), ANNA)
    assert refuse(raw) is Reason.WRONG_CHAIN


@pytest.mark.parametrize("signer", [BEN, CARLA])
def test_only_the_sender_signs(signer):
    assert refuse(sign(build(ANNA, TRANSFER), signer)) is Reason.BAD_SIGNATURE


def test_a_signature_over_the_bare_payload_is_refused():
    payload = canonical.encode(build(ANNA, TRANSFER))
    envelope = SignedTransaction(payload, ed25519.sign(ANNA.seed, payload), None)
    assert refuse(canonical.encode(envelope)) is Reason.BAD_SIGNATURE


def test_another_account_may_pay_if_it_signed():
    paid = build(ANNA, TRANSFER, fee_payer=CARLA.address)
    assert not isinstance(check_transaction(sign(paid, ANNA, CARLA), CHAIN_ID), Rejected)
    assert refuse(sign(paid, ANNA, BEN)) is Reason.BAD_SIGNATURE
    assert refuse(sign(paid, ANNA)) is Reason.MALFORMED


def test_a_fee_signature_without_another_payer_is_refused():
    assert refuse(sign(build(ANNA, TRANSFER), ANNA, ANNA)) is Reason.MALFORMED


def test_the_signatures_do_not_change_the_id():
    paid = build(ANNA, TRANSFER, fee_payer=CARLA.address)
    raw = sign(paid, ANNA, CARLA)
    checked = check_transaction(raw, CHAIN_ID)
    assert not isinstance(checked, Rejected)
    assert checked.id == domains.transaction_id(open_envelope(raw).payload)


@pytest.mark.parametrize(
    "arguments",
    [b"", b"\xc1", b"\x90\x00", b"\xcb" + bytes(8), b"\xcd\x00\x01", b"\x91" * 17 + b"\xc0"],
    ids=["empty", "no type", "trailing", "float", "long integer", "too deep"],
)
def test_contract_arguments_are_canonical_plain_values(arguments):
    for body in (
        CallContract(bytes(32), "run", arguments, 0, 0),
        DeployContract("", "", arguments, 0),
    ):
        assert refuse(sign(build(ANNA, body), ANNA)) is Reason.MALFORMED


def test_code_within_its_limit_is_accepted_and_beyond_it_malformed():
    def deploy(length: int) -> bytes:
        return sign(build(ANNA, DeployContract("a" * length, "", b"\x90", 0)), ANNA)

    assert not isinstance(check_transaction(deploy(CONTRACT_CODE_BYTES_MAX), CHAIN_ID), Rejected)
    assert refuse(deploy(CONTRACT_CODE_BYTES_MAX + 1)) is Reason.MALFORMED


def state_of(**balances: int) -> dict[bytes, bytes]:
    people = {"anna": ANNA, "ben": BEN, "carla": CARLA}
    return {
        account_key(people[name].address): canonical.encode(Account(balance))
        for name, balance in balances.items()
    }


def admit(checked, state, pending_nonce=None) -> Reason | None:
    refusal = admit_transaction(checked, state, HEIGHT, pending_nonce)
    return None if refusal is None else refusal.reason


def test_a_funded_transaction_is_admitted():
    assert admit(check(ANNA, TRANSFER), state_of(anna=FEE + 100)) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"nonce": 1}, Reason.BAD_NONCE),
        ({"expiry_height": HEIGHT - 1}, Reason.EXPIRED),
        ({"expiry_height": HEIGHT + EXPIRY_HEIGHTS_MAX + 1}, Reason.OUT_OF_RANGE),
        ({"fee": 0}, Reason.FEE_TOO_LOW),
        ({"fee": FEE + 1}, Reason.INSUFFICIENT_FUNDS),
    ],
)
def test_one_wrong_field_is_not_admitted(changes, reason):
    assert admit(check(ANNA, TRANSFER, **changes), state_of(anna=FEE + 100)) is reason


@pytest.mark.parametrize("expiry", [HEIGHT, EXPIRY, HEIGHT + EXPIRY_HEIGHTS_MAX])
def test_the_edges_of_expiry_are_admitted(expiry):
    checked = check(ANNA, TRANSFER, expiry_height=expiry)
    assert admit(checked, state_of(anna=FEE + 100)) is None


def test_the_least_fee_is_1000_and_one_a_byte():
    size = check(ANNA, TRANSFER, fee=1_200).size
    rich = state_of(anna=10**9)
    assert admit(check(ANNA, TRANSFER, fee=1_000 + size), rich) is None
    assert admit(check(ANNA, TRANSFER, fee=1_000 + size - 1), rich) is Reason.FEE_TOO_LOW


def test_a_contract_call_must_offer_its_whole_gas_limit():
    body = CallContract(bytes(32), "run", b"\x90", 0, gas_limit=100_001)
    rich = state_of(anna=10**9)
    required = 1_000 + check(ANNA, body, fee=3_000).size + 1_001
    assert admit(check(ANNA, body, fee=required), rich) is None
    assert admit(check(ANNA, body, fee=required - 1), rich) is Reason.FEE_TOO_LOW


def test_the_sender_must_hold_what_it_moves():
    assert admit(check(ANNA, TRANSFER), state_of(anna=FEE + 99)) is Reason.INSUFFICIENT_FUNDS
    paid = check(ANNA, TRANSFER, payer=CARLA)
    assert admit(paid, state_of(anna=100, carla=FEE)) is None
    assert admit(paid, state_of(anna=99, carla=FEE)) is Reason.INSUFFICIENT_FUNDS
    assert admit(paid, state_of(anna=100, carla=FEE - 1)) is Reason.INSUFFICIENT_FUNDS
    deposit = CallContract(bytes(32), "run", b"\x90", 100, 0)
    assert admit(check(ANNA, deposit), state_of(anna=FEE + 99)) is Reason.INSUFFICIENT_FUNDS


def test_a_pending_nonce_takes_the_place_of_the_states():
    rich = state_of(anna=10**9)
    assert admit(check(ANNA, TRANSFER, nonce=3), rich, pending_nonce=3) is None
    assert admit(check(ANNA, TRANSFER, nonce=0), rich, pending_nonce=3) is Reason.BAD_NONCE


def test_admission_without_an_account_says_what_is_missing():
    refusal = admit_transaction(check(ANNA, TRANSFER), {}, HEIGHT, None)
    assert refusal is not None
    assert str(refusal).startswith("insufficient-funds: the fee payer holds 0 base units")


def test_a_replaced_field_needs_a_new_signature():
    envelope = open_envelope(RAW)
    other = canonical.encode(build(ANNA, Transfer(BEN.address, 101)))
    forged = canonical.encode(msgspec.structs.replace(envelope, payload=other))
    assert refuse(forged) is Reason.BAD_SIGNATURE
