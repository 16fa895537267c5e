"""What a block tells the rules about itself, and what the rules give back."""

from dataclasses import dataclass

import msgspec

from ledger.errors import Rejected
from ledger.types.outcome import Event, Outcome
from ledger.types.transaction import Transaction


@dataclass(frozen=True, slots=True)
class BlockContext:
    """The block in which transactions run; `time_ms` is its Unix time, `proposer` a node id."""

    chain_id: bytes
    height: int
    time_ms: int
    proposer: bytes


class CheckedTransaction(msgspec.Struct, frozen=True):
    """A transaction whose form and signatures were verified: only `check_transaction` makes one.

    `raw` are the received bytes of the `SignedTransaction`, `size` their number.
    """

    raw: bytes
    id: bytes
    transaction: Transaction
    size: int


@dataclass(frozen=True, slots=True)
class Processed:
    """What a body came to. With a `failure` none of its effects stand; gas is charged either way."""

    failure: Rejected | None = None
    gas_used: int = 0
    result: bytes = b""
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class BlockResult:
    """One outcome for each transaction, in order, and all changes of the state (None: removed)."""

    outcomes: tuple[Outcome, ...]
    writes: dict[bytes, bytes | None]


@dataclass(frozen=True, slots=True)
class Selected:
    """The transactions that could be run, what they came to, and those that could not, with why."""

    transactions: tuple[CheckedTransaction, ...]
    result: BlockResult
    failed: tuple[tuple[CheckedTransaction, Rejected], ...]
