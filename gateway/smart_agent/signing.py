"""From a typed request to the bytes that are signed: form, chain, signer and policy are checked here. Pure.

The list is closed: what has no case here is not signed. Each kind has a prefix of its own, so a signature
given for one is never one for another. Votes go through `vote_desk` as well; a proposal carries its leader's
vote to notarise it, so it needs no signature of its own (consensus specification 1.3).
"""

from dataclasses import dataclass
from typing import TypeVar, assert_never

from gateway.smart_agent.audit.entry import EntryKind
from gateway.smart_agent.identity_messages import SignSession
from gateway.smart_agent.keys import AgentKeys, Purpose
from gateway.smart_agent.messages import (
    Refused,
    RefusedReason,
    SignQuote,
    SignReadingBatch,
    SignTransaction,
    SignVoucher,
    TypedRequest,
    one_line,
)
from gateway.smart_agent.metering_messages import SignMeasurement
from gateway.smart_agent.policy import check_transaction
from gateway.smart_agent.spending.payment import (
    Payment,
    payment_of_transaction,
    payment_of_voucher,
)
from ledger.codec.canonical import Decoder
from ledger.crypto import domains
from ledger.errors import CodecError
from ledger.identity.refusals import Refused as IdentityRefused
from ledger.identity.session_token import decode_session_token
from ledger.types.metering import MeteringRecord
from ledger.types.offers import Quote, ReadingBatch, Voucher
from ledger.types.transaction import Transaction

_T = TypeVar("_T")

_batches = Decoder(ReadingBatch)
_quotes = Decoder(Quote)
_vouchers = Decoder(Voucher)
_records = Decoder(MeteringRecord)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A message that may be signed: by which key, and as what it enters the audit log.

    `transaction` or measurement `record` is what it says where it is one, `payment` what leaves the wallet
    with it: further rules look at them.
    """

    kind: EntryKind
    purpose: Purpose
    message: bytes
    transaction: Transaction | None = None
    payment: Payment | None = None
    record: MeteringRecord | None = None


def prepare(request: TypedRequest, keys: AgentKeys) -> Prepared | Refused:
    """Return what to sign for a request on the bound chain, or why it is not signed."""
    match request:
        case SignTransaction():
            checked = check_transaction(request, keys)
            if isinstance(checked, Refused):
                return checked
            return _prepare_transaction(request, checked, keys)
        case SignReadingBatch():
            return _prepare_batch(request.payload, keys)
        case SignQuote():
            return _prepare_quote(request.payload, keys)
        case SignVoucher():
            return _prepare_voucher(request.payload, keys)
        case SignSession():
            return _prepare_session(request.payload, keys)
        case SignMeasurement():
            return _prepare_measurement(request.payload, keys)
    assert_never(request)


def _prepare_transaction(
    request: SignTransaction, transaction: Transaction, keys: AgentKeys
) -> Prepared:
    payment = None
    if request.purpose is Purpose.WALLET:
        payment = payment_of_transaction(transaction, request.payload, keys.wallet)
    message = domains.transaction_message(request.payload)
    return Prepared(EntryKind.TRANSACTION, request.purpose, message, transaction, payment)


def _prepare_batch(payload: bytes, keys: AgentKeys) -> Prepared | Refused:
    batch = _decode(_batches, payload, "reading batch")
    if isinstance(batch, Refused):
        return batch
    if batch.time_last_ms < batch.time_first_ms:
        return Refused(RefusedReason.MALFORMED, "the reading batch ends before it begins")
    message = domains.reading_batch_message(payload)
    return _check_signer(batch.chain_id, batch.signer, keys, Purpose.METERING) or Prepared(
        EntryKind.READING_BATCH, Purpose.METERING, message
    )


def _prepare_quote(payload: bytes, keys: AgentKeys) -> Prepared | Refused:
    quote = _decode(_quotes, payload, "quote")
    if isinstance(quote, Refused):
        return quote
    message = domains.quote_message(payload)
    return _check_signer(quote.chain_id, quote.seller, keys, Purpose.WALLET) or Prepared(
        EntryKind.QUOTE, Purpose.WALLET, message
    )


def _prepare_voucher(payload: bytes, keys: AgentKeys) -> Prepared | Refused:
    voucher = _decode(_vouchers, payload, "voucher")
    if isinstance(voucher, Refused):
        return voucher
    if voucher.payee == voucher.payer:
        return Refused(RefusedReason.MALFORMED, "the voucher pays its own payer")
    message = domains.voucher_message(payload)
    return _check_signer(voucher.chain_id, voucher.payer, keys, Purpose.WALLET) or Prepared(
        EntryKind.VOUCHER, Purpose.WALLET, message, payment=payment_of_voucher(voucher, payload)
    )


def _prepare_session(payload: bytes, keys: AgentKeys) -> Prepared | Refused:
    token = decode_session_token(payload)
    if isinstance(token, IdentityRefused):
        return Refused(RefusedReason.MALFORMED, one_line(token.detail))
    message = domains.session_token_message(payload)
    return _check_signer(token.chain_id, token.signer, keys, Purpose.NODE) or Prepared(
        EntryKind.SESSION_TOKEN, Purpose.NODE, message
    )


def _prepare_measurement(payload: bytes, keys: AgentKeys) -> Prepared | Refused:
    record = _decode(_records, payload, "measurement record")
    if isinstance(record, Refused):
        return record
    message = domains.measurement_message(payload)
    return _check_signer(record.chain_id, record.signer, keys, Purpose.METERING) or Prepared(
        EntryKind.MEASUREMENT, Purpose.METERING, message, record=record
    )


def _decode(decoder: Decoder[_T], payload: bytes, name: str) -> _T | Refused:
    try:
        return decoder.decode(payload)
    except CodecError as error:
        return Refused(RefusedReason.MALFORMED, one_line(f"{name} {error}"))


def _check_signer(
    chain_id: bytes, signer: bytes, keys: AgentKeys, purpose: Purpose
) -> Refused | None:
    if keys.chain_id is None:
        return Refused(RefusedReason.NOT_BOUND, "this SmartAgent is not bound to a chain yet")
    if chain_id != keys.chain_id:
        return Refused(RefusedReason.WRONG_CHAIN, "it is for another chain")
    if signer != keys.key_of(purpose):
        return Refused(RefusedReason.WRONG_SENDER, f"its signer is not the {purpose.value} key")
    return None
