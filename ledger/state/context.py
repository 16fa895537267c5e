"""What a block tells the rules about itself, and what the rules give back."""

from dataclasses import dataclass

import msgspec

from ledger.crypto.domains import NO_HASH
from ledger.crypto.ed25519 import SignatureClaim
from ledger.errors import Rejected
from ledger.params import SIGNER_BITMAP_BYTES
from ledger.types.agent_set import AgentSet
from ledger.types.outcome import Event, Outcome
from ledger.types.transaction import Transaction

NO_SIGNERS = bytes(SIGNER_BITMAP_BYTES)


@dataclass(frozen=True, slots=True)
class BlockContext:
    """The block in which transactions run; `time_ms` is its Unix time, `proposer` a node id.

    `parent_slot` is 0 where the parent is the root of the epoch. `parent_signers` is the bitmap of
    the parent's certificate that the proposer held, over the set of the parent's epoch.
    """

    chain_id: bytes
    height: int
    time_ms: int
    proposer: bytes
    epoch: int = 0
    slot: int = 1
    parent_slot: int = 0
    parent_signers: bytes = NO_SIGNERS
    reveal: bytes = NO_HASH


class CheckedTransaction(msgspec.Struct, frozen=True, gc=False):
    """A transaction whose form and signatures were verified: by `check_transaction`, or in a batch.

    `raw` are the received bytes of the `SignedTransaction`, `size` their number.
    """

    raw: bytes
    id: bytes
    transaction: Transaction
    size: int


class OpenedTransaction(msgspec.Struct, frozen=True, gc=False):
    """What a transaction is if all its `claims` are genuine: until then nobody may use `checked`."""

    checked: CheckedTransaction
    claims: tuple[SignatureClaim, ...]


@dataclass(frozen=True, slots=True)
class Processed:
    """What a body came to. With a `failure` none of its effects stand; gas is charged either way."""

    failure: Rejected | None = None
    gas_used: int = 0
    result: bytes = b""
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class BlockResult:
    """One outcome for each transaction, in order, and all changes of the state (None: removed).

    `next_set` is the next epoch's set where this block ends its epoch, else None.
    """

    outcomes: tuple[Outcome, ...]
    writes: dict[bytes, bytes | None]
    next_set: AgentSet | None = None


@dataclass(frozen=True, slots=True)
class Selected:
    """The transactions that could be run, what they came to, and those that could not, with why."""

    transactions: tuple[CheckedTransaction, ...]
    result: BlockResult
    failed: tuple[tuple[CheckedTransaction, Rejected], ...]
