"""What the gateway signs is what the ledger admits: fee, form and bytes."""

import pytest
from hypothesis import given, strategies as st

from gateway.app.transactions import build_payload, decode_transaction, wrap
from gateway.errors import StoreError
from ledger.codec import canonical
from ledger.crypto.domains import transaction_message
from ledger.crypto.ed25519 import sign
from ledger.params import (
    CONTRACT_ARGS_BYTES_MAX,
    CONTRACT_CALL_GAS_MAX,
    CONTRACT_CODE_BYTES_MAX,
    CONTRACT_MANIFEST_BYTES_MAX,
)
from ledger.state.admission import check_transaction
from ledger.state.context import CheckedTransaction
from ledger.state.fees import compute_fee_required
from ledger.types.transaction import (
    Anchor,
    Body,
    CallContract,
    CreateCoin,
    DeployContract,
    RegisterDevice,
    RegisterNode,
    Transfer,
    TransferCoin,
)
from tests.support.transactions import ANNA, CHAIN_ID

HASH = bytes(range(32))
BIG = 2**63 - 1
LARGE_ARGS = canonical.encode({"a": b"\xff" * (CONTRACT_ARGS_BYTES_MAX - 16)})
BODIES: dict[str, Body] = {
    "transfer": Transfer(HASH, BIG),
    "register node": RegisterNode(HASH, HASH, bytes(64), bytes(64)),
    "register device": RegisterDevice(HASH, HASH),
    "anchor": Anchor(HASH, HASH, BIG, 1000, BIG, BIG, HASH, HASH),
    "create coin": CreateCoin("SYMBOL", "n" * 64, 18, BIG, BIG),
    "transfer coin": TransferCoin(HASH, HASH, BIG),
    "smallest deploy": DeployContract("", "", canonical.encode({}), 0),
    "largest code": DeployContract(
        "x" * CONTRACT_CODE_BYTES_MAX,
        "m" * CONTRACT_MANIFEST_BYTES_MAX,
        canonical.encode({}),
        CONTRACT_CALL_GAS_MAX,
    ),
    "smallest call": CallContract(HASH, "m", canonical.encode({}), 0, 1),
    "largest call": CallContract(HASH, "m" * 48, LARGE_ARGS, BIG, CONTRACT_CALL_GAS_MAX),
}


def signed(body: Body, nonce: int = 0, expiry: int = 100) -> bytes:
    payload = build_payload(CHAIN_ID, ANNA.address, nonce, expiry, body)
    return wrap(payload, sign(ANNA.seed, transaction_message(payload)))


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize("nonce", [0, BIG])
def test_every_kind_of_transaction_pays_for_itself_and_little_more(body, nonce):
    checked = check_transaction(signed(body, nonce, expiry=BIG), CHAIN_ID)

    assert isinstance(checked, CheckedTransaction), checked
    required = compute_fee_required(checked)
    assert required <= checked.transaction.fee <= required + 32


@given(st.binary(max_size=3_000), st.integers(0, BIG), st.integers(0, CONTRACT_CALL_GAS_MAX))
def test_the_fee_covers_a_call_of_any_size_and_gas(data, nonce, gas):
    body = CallContract(HASH, "m", canonical.encode({"a": data}), 0, gas)
    checked = check_transaction(signed(body, nonce), CHAIN_ID)

    assert isinstance(checked, CheckedTransaction), checked
    assert checked.transaction.fee >= compute_fee_required(checked)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_an_envelope_is_read_again(body):
    transaction = decode_transaction(signed(body, nonce=7))

    assert transaction.body == body
    assert (transaction.nonce, transaction.sender) == (7, ANNA.address)
    assert transaction.fee_payer == ANNA.address


@pytest.mark.parametrize("raw", [b"", b"\x93", signed(BODIES["transfer"])[:-1], b"\xff" * 100])
def test_a_damaged_envelope_is_one_line(raw):
    with pytest.raises(StoreError, match="outbox is damaged") as raised:
        decode_transaction(raw)
    assert "\n" not in str(raised.value)
