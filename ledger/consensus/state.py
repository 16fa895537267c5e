"""What the machine knows: the newest final block, the running slot and how far it has come.

Everything here is derived: after a crash the machine is started again from the chain, the write-ahead
log and the sign guard, which together hold all that must not be lost (consensus specification 1.3).
"""

import enum
from dataclasses import dataclass

from ledger.types.block import Block, Header


@dataclass(frozen=True, slots=True)
class Rules:
    """What a chain fixes for consensus: intervals in ms, the epoch's consensus keys, who we are."""

    chain_id: bytes
    epoch: int
    slot_ms: int
    heartbeat_ms: int
    agent_keys: tuple[bytes, ...]
    our_index: int


@dataclass(frozen=True, slots=True)
class Tip:
    """The newest final block as its successor refers to it; slot and height 0 is the genesis."""

    height: int
    slot: int
    hash: bytes
    time_ms: int
    signers: bytes


@dataclass(frozen=True, slots=True)
class Proposal:
    """A block with its decoded header and its hash."""

    header: Header
    hash: bytes
    block: Block


class Step(enum.Enum):
    """Where the running slot stands. The value is what people see in the status."""

    WAITING = "waiting"  # until the block interval has passed
    BUILDING = "building"
    VALIDATING = "validating"  # a block from the write-ahead log is executed again
    NOTARIZING = "notarizing"
    FINALIZING = "finalizing"
    NULLIFYING = "nullifying"
    COMMITTING = "committing"
    HALTED = "halted"


@dataclass(frozen=True, slots=True)
class SlotState:
    """The running slot. The two due times are monotonic ms: with transactions waiting, and without.

    `is_notarized` tells that the proposal's notarization is durable; `retry_at_ms` is set while the
    signer does not answer.
    """

    rules: Rules
    tip: Tip
    slot: int
    step: Step
    due_with_work_ms: int
    due_idle_ms: int
    proposal: Proposal | None = None
    is_notarized: bool = False
    retry_at_ms: int | None = None
