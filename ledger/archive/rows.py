"""Final blocks and transactions as rows of the archive."""

from typing import Any

import msgspec

from ledger.codec.canonical import Decoder
from ledger.storage.reader import StoredBlock, StoredTransaction
from ledger.types.outcome import Outcome, OutcomeStatus
from ledger.types.transaction import SignedTransaction, Transaction

_envelopes = Decoder(SignedTransaction)
_payloads = Decoder(Transaction)
_outcomes = Decoder(Outcome)

Row = dict[str, Any]


def build_block_row(block: StoredBlock, transaction_count: int) -> Row:
    """Return the row of a final block."""
    header = block.header
    return {
        "height": header.height,
        "hash": block.hash,
        "parent_hash": header.parent_hash,
        "epoch": header.epoch,
        "slot": header.slot,
        "time_ms": header.time_ms,
        "proposer": header.proposer,
        "state_root": header.state_root,
        "transactions": transaction_count,
        "header": block.header_bytes,
        "proof": block.proof,
    }


def build_transaction_row(stored: StoredTransaction) -> Row:
    """Return the row of a final transaction."""
    transaction = _payloads.decode(_envelopes.decode(stored.raw).payload)
    outcome = _outcomes.decode(stored.outcome)
    return {
        "id": stored.id,
        "height": stored.height,
        "position": stored.position,
        "kind": type(transaction.body).__name__,
        "sender": transaction.sender,
        "nonce": transaction.nonce,
        "fee_payer": transaction.fee_payer,
        "fee_paid": outcome.fee_paid,
        "is_applied": outcome.status is OutcomeStatus.APPLIED,
        "reason": outcome.reason,
        "gas_used": outcome.gas_used,
        "body": describe_body(transaction.body),
        "raw_bytes": stored.raw,
        "outcome": stored.outcome,
    }


def describe_body(body: msgspec.Struct) -> str:
    """Return a transaction's body as JSON text that PostgreSQL takes: names, numbers, hexadecimal."""
    return msgspec.json.encode(_to_plain(body), order="sorted").decode()


def _to_plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, msgspec.Struct):
        return {name: _to_plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, tuple):
        return [_to_plain(item) for item in value]
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd")  # PostgreSQL keeps no NUL in text
    return value
