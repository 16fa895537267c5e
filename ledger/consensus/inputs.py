"""What can happen to the machine. Times are arguments: wall for blocks, monotonic for waiting.

A voter of a larger set will have more of these (proposals, votes and certificates of others).
"""

from dataclasses import dataclass

from ledger.consensus.state import Proposal, Tip
from ledger.types.block import Certificate, Vote


@dataclass(frozen=True, slots=True)
class Now:
    """Unix milliseconds, and monotonic milliseconds that never jump."""

    wall_ms: int
    monotonic_ms: int


@dataclass(frozen=True, slots=True)
class Started:
    """The node is up with what the write-ahead log held above the newest final block."""

    proposals: tuple[Proposal, ...]
    certificates: tuple[Certificate, ...]
    now: Now


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time has passed or a transaction came; `has_work` tells whether any is waiting."""

    has_work: bool
    now: Now


@dataclass(frozen=True, slots=True)
class BlockBuilt:
    """The block that was asked for is there: executed, not yet durable."""

    proposal: Proposal


@dataclass(frozen=True, slots=True)
class BlockValidated:
    """The block that was asked about is valid on top of the tip."""

    block_hash: bytes


@dataclass(frozen=True, slots=True)
class BlockRefused:
    """The block that was asked about is not valid, or cannot be executed here."""

    block_hash: bytes
    detail: str


@dataclass(frozen=True, slots=True)
class VoteSigned:
    """Our vote, with the signature that the guard has on record."""

    vote: Vote
    now: Now


@dataclass(frozen=True, slots=True)
class VoteRefused:
    """The guard refuses this vote for good."""

    slot: int
    detail: str


@dataclass(frozen=True, slots=True)
class SignerUnavailable:
    """The signer did not answer; nothing is known about the vote."""

    now: Now


@dataclass(frozen=True, slots=True)
class BlockCommitted:
    """The block is final on disk."""

    tip: Tip
    now: Now


Input = (
    Started
    | Ticked
    | BlockBuilt
    | BlockValidated
    | BlockRefused
    | VoteSigned
    | VoteRefused
    | SignerUnavailable
    | BlockCommitted
)
