"""What may be signed outside a block: a valid one of each, then one field broken at a time."""

from dataclasses import replace

import pytest

from gateway.smart_agent.audit.entry import EntryKind
from gateway.smart_agent.keys import AgentKeys, Purpose
from gateway.smart_agent.messages import (
    Refused,
    RefusedReason,
    SignQuote,
    SignReadingBatch,
    SignVoucher,
)
from gateway.smart_agent.signing import Prepared, prepare
from ledger.codec import canonical
from ledger.crypto import domains
from ledger.types.offers import Quote, ReadingBatch, Voucher

CHAIN, H = b"i" * 32, b"h" * 32
KEYS = AgentKeys(b"n" * 32, b"c" * 32, b"m" * 32, b"w" * 32, CHAIN)

GOOD = {
    SignReadingBatch: (
        ReadingBatch,
        {
            "chain_id": CHAIN,
            "signer": KEYS.metering,
            "device_id": H,
            "profile_hash": H,
            "first": 1,
            "count": 10,
            "time_first_ms": 5,
            "time_last_ms": 5,
            "root": H,
        },
    ),
    SignQuote: (
        Quote,
        {
            "chain_id": CHAIN,
            "seller": KEYS.wallet,
            "item": "energy/kwh",
            "price": 30_000_000,
            "unit": "kWh",
            "valid_until_ms": 9,
            "nonce": H,
        },
    ),
    SignVoucher: (
        Voucher,
        {
            "chain_id": CHAIN,
            "payer": KEYS.wallet,
            "payee": H,
            "channel": H,
            "amount": 7,
            "sequence": 1,
            "expiry_height": 100,
        },
    ),
}


def payload(request, **changes):
    struct, fields = GOOD[request]
    return canonical.encode(struct(**(fields | changes)))


@pytest.mark.parametrize(
    ("request_type", "kind", "purpose", "message"),
    [
        (
            SignReadingBatch,
            EntryKind.READING_BATCH,
            Purpose.METERING,
            domains.reading_batch_message,
        ),
        (SignQuote, EntryKind.QUOTE, Purpose.WALLET, domains.quote_message),
        (SignVoucher, EntryKind.VOUCHER, Purpose.WALLET, domains.voucher_message),
    ],
)
def test_a_good_one_is_signed_over_its_own_prefix_and_its_bytes(
    request_type, kind, purpose, message
):
    raw = payload(request_type)

    prepared = prepare(request_type(raw), KEYS)
    assert isinstance(prepared, Prepared)
    assert replace(prepared, payment=None) == Prepared(kind, purpose, message(raw))
    assert (prepared.payment is not None) is (request_type is SignVoucher)


@pytest.mark.parametrize(
    ("request_type", "changes", "reason"),
    [
        (SignReadingBatch, {"chain_id": H}, RefusedReason.WRONG_CHAIN),
        (SignReadingBatch, {"signer": KEYS.wallet}, RefusedReason.WRONG_SENDER),
        (SignReadingBatch, {"count": 0}, RefusedReason.MALFORMED),
        (SignReadingBatch, {"count": 1001}, RefusedReason.MALFORMED),
        (SignReadingBatch, {"time_last_ms": 4}, RefusedReason.MALFORMED),
        (SignReadingBatch, {"root": b"short"}, RefusedReason.MALFORMED),
        (SignQuote, {"chain_id": H}, RefusedReason.WRONG_CHAIN),
        (SignQuote, {"seller": KEYS.metering}, RefusedReason.WRONG_SENDER),
        (SignQuote, {"item": "Two lines\n"}, RefusedReason.MALFORMED),
        (SignQuote, {"price": -1}, RefusedReason.MALFORMED),
        (SignVoucher, {"chain_id": H}, RefusedReason.WRONG_CHAIN),
        (SignVoucher, {"payer": H, "payee": KEYS.wallet}, RefusedReason.WRONG_SENDER),
        (SignVoucher, {"payee": KEYS.wallet}, RefusedReason.MALFORMED),
        (SignVoucher, {"amount": 2**63}, RefusedReason.MALFORMED),
    ],
)
def test_with_one_field_broken_it_is_refused(request_type, changes, reason):
    refused = prepare(request_type(payload(request_type, **changes)), KEYS)

    assert isinstance(refused, Refused)
    assert refused.reason is reason


@pytest.mark.parametrize("request_type", list(GOOD))
def test_other_bytes_an_unbound_agent_and_another_kind_are_refused(request_type):
    raw = payload(request_type)
    unbound = AgentKeys(KEYS.node, KEYS.consensus, KEYS.metering, KEYS.wallet)

    assert reason_of(request_type(raw), unbound) is RefusedReason.NOT_BOUND
    for bad in (b"", b"any bytes", raw + b"\0", raw[:-1]):
        assert reason_of(request_type(bad)) is RefusedReason.MALFORMED
    for other in GOOD:
        if other is not request_type:
            assert reason_of(request_type(payload(other))) is RefusedReason.MALFORMED


def reason_of(request, keys=KEYS):
    refused = prepare(request, keys)
    assert isinstance(refused, Refused)
    return refused.reason
