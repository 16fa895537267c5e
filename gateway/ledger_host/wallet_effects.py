"""What a block did to one account: an entry for each transaction that touched it. Pure.

What a transaction does not say itself (what a contract pays out, rewards, stake that comes back) is the
difference that is left over: it has an entry of its own, so that the running balance is always the chain's.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from ledger.codec.text import format_address
from ledger.crypto import domains
from ledger.state.admission import compute_outlay
from ledger.types.outcome import Outcome, OutcomeStatus
from ledger.types.transaction import (
    BurnCoin,
    CallContract,
    CreateCoin,
    DeployContract,
    MintCoin,
    Transaction,
    Transfer,
    TransferCoin,
)


class HistoryEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One line of the history; `amount` in base units, the fee apart; minus is what left."""

    id: str
    what: str
    amount: int = 0
    fee: int = 0
    other: str = ""
    coin: str = ""
    coin_units: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """A final transaction with what it came to."""

    id: bytes
    transaction: Transaction
    outcome: Outcome


def entries_of(done: Iterable[Done], wallet: bytes) -> tuple[HistoryEntry, ...]:
    """Return the entries of the transactions that touched `wallet`, in order."""
    found = (_entry_of(one, wallet) for one in done)
    return tuple(entry for entry in found if entry is not None)


def compute_change(entries: Iterable[HistoryEntry]) -> int:
    """Return by how many base units entries change the balance."""
    return sum(entry.amount - entry.fee for entry in entries)


def remainder(amount: int) -> HistoryEntry:
    """Return the entry of what no transaction of a block explains."""
    return HistoryEntry("", "contracts, rewards and stake", amount)


def _entry_of(done: Done, wallet: bytes) -> HistoryEntry | None:
    transaction, outcome = done.transaction, done.outcome
    is_applied = outcome.status is OutcomeStatus.APPLIED
    fee = outcome.fee_paid if transaction.fee_payer == wallet else 0
    amount = -compute_outlay(transaction) if is_applied and transaction.sender == wallet else 0
    coin, units = b"", 0
    if is_applied:
        amount += _received(transaction, wallet)
        coin, units = _coin_of(transaction, wallet)
    if not (amount or fee or units or transaction.sender == wallet):
        return None
    other = _other_side(transaction, wallet)
    return HistoryEntry(
        id=done.id.hex(),
        what=type(transaction.body).__name__,
        amount=amount,
        fee=fee,
        other="" if other == b"" else format_address(other),
        coin=coin.hex(),
        coin_units=units,
        note=outcome.reason,
    )


def _received(transaction: Transaction, wallet: bytes) -> int:
    body = transaction.body
    return body.amount if isinstance(body, Transfer) and body.to == wallet else 0


def _coin_of(transaction: Transaction, wallet: bytes) -> tuple[bytes, int]:
    """Return which coin's units came (or, below zero, went)."""
    is_sender = transaction.sender == wallet
    match transaction.body:
        case TransferCoin(coin=coin, to=to, amount=units):
            return coin, units * ((to == wallet) - is_sender)
        case CreateCoin(supply=supply) if is_sender:
            return domains.coin_id(wallet, transaction.nonce), supply
        case MintCoin(coin=coin, to=to, amount=units):
            return coin, units if to == wallet else 0
        case BurnCoin(coin=coin, amount=units) if is_sender:
            return coin, -units
        case _:
            return b"", 0


def _other_side(transaction: Transaction, wallet: bytes) -> bytes:
    if transaction.sender != wallet:
        return transaction.sender
    match transaction.body:
        case Transfer(to=to) | TransferCoin(to=to):
            return to
        case CallContract(contract=contract):
            return contract
        case DeployContract():
            return domains.contract_address(wallet, transaction.nonce)
        case _:
            return b""
