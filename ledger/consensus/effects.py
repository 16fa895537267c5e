"""What the machine wants done.

Rule: the driver performs a tuple in order and stops at the first failure, so what must be durable
before a signature leaves simply stands before it.
"""

from dataclasses import dataclass

from ledger.consensus.state import Proposal, Tip
from ledger.crypto.domains import VoteKind
from ledger.types.block import Certificate


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Tick again at this monotonic time; replaces any earlier wish."""

    monotonic_ms: int


@dataclass(frozen=True, slots=True)
class BuildBlock:
    """Build and execute a block for `slot` on `parent`; answered by `BlockBuilt`."""

    slot: int
    parent: Tip
    time_ms: int


@dataclass(frozen=True, slots=True)
class ValidateBlock:
    """Execute a block on top of the tip; answered by `BlockValidated` or `BlockRefused`."""

    proposal: Proposal


@dataclass(frozen=True, slots=True)
class PersistProposal:
    """Write a block ahead, durably: it is about to be voted for."""

    proposal: Proposal


@dataclass(frozen=True, slots=True)
class PersistCertificate:
    """Write a certificate ahead, durably: votes that rest on it follow."""

    certificate: Certificate


@dataclass(frozen=True, slots=True)
class SignVote:
    """Ask for our vote; answered by `VoteSigned`, `VoteRefused` or `SignerUnavailable`."""

    kind: VoteKind
    epoch: int
    slot: int
    block_hash: bytes


@dataclass(frozen=True, slots=True)
class CommitBlock:
    """Make the block final with its certificate, durably; answered by `BlockCommitted`."""

    proposal: Proposal
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class Halt:
    """Nothing safe is left to do: stop the node with this line."""

    detail: str


Effect = (
    WakeAt
    | BuildBlock
    | ValidateBlock
    | PersistProposal
    | PersistCertificate
    | SignVote
    | CommitBlock
    | Halt
)
