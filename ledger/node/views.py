"""What a node tells about itself and its chain: plain values, safe to hand to anyone."""

import enum
from dataclasses import dataclass

from ledger.consensus.blocks import Proposal
from ledger.errors import Rejected
from ledger.state.context import CheckedTransaction
from ledger.types.block import Certificate, Header
from ledger.types.identity_records import Lease, Retirement
from ledger.types.outcome import Outcome
from ledger.types.records import Node


@dataclass(frozen=True, slots=True)
class TakenTransaction:
    """A transaction that waits or is final; `is_new` when it was not known before."""

    id: bytes
    is_new: bool


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """How the chain is doing. Height, hash and `time_ms` (Unix) are the newest final block's.

    `state` is the step of the running slot, `clock` "synchronised" or "unsynchronised".
    """

    chain_id: bytes
    height: int
    hash: bytes
    time_ms: int
    slot_ms: int
    epoch: int
    slot: int
    agents: int
    pending: int
    state: str
    clock: str


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account's base units and nonce; `pending_nonce` counts what waits in the mempool too."""

    balance: int
    nonce: int
    pending_nonce: int


@dataclass(frozen=True, slots=True)
class IdentityView:
    """What the chain knows of a node at its newest final block, whose Unix time is `time_ms`."""

    time_ms: int
    node: Node | None
    owner: bytes | None
    retirement: Retirement | None
    lease: Lease | None


class Progress(enum.Enum):
    """How far a transaction has come."""

    UNKNOWN = "unknown"
    PENDING = "pending"
    FINAL = "final"


@dataclass(frozen=True, slots=True)
class TransactionView:
    """Where a transaction stands; height and outcome once it is final."""

    progress: Progress
    height: int = 0
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class BlockView:
    """A final block: header, hash, transactions' ids in order, and the certificate that proves it.

    The certificate may be a descendant's. `skipped` are the node ids of who led the slots between its
    parent's and its own, in order, the last ones of many; none where their epoch's set is not kept.
    """

    header: Header
    hash: bytes
    certificate: Certificate
    transaction_ids: tuple[bytes, ...]
    skipped: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class FinalBlock:
    """What is announced when a block has become final on disk."""

    header: Header
    hash: bytes
    transactions: tuple[CheckedTransaction, ...]
    outcomes: tuple[Outcome, ...]
    finality_ms: int = 0  # since this node first had the block to execute


@dataclass(frozen=True, slots=True)
class BuiltBlock:
    """A new block, and the transactions left out of it because they could not be run, with why."""

    proposal: Proposal
    failed: tuple[tuple[CheckedTransaction, Rejected], ...]
