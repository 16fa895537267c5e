"""What the machine wants done.

Rule 1: the driver performs a tuple in order and stops at the first failure, so what must be durable
before a signature leaves simply stands before it: write-ahead, then sign, then send.
Rule 2: a `SignVote` is answered before any other input is taken; the slow answers (build, validate,
verify) may come late, the machine then drops what no longer fits.
"""

from dataclasses import dataclass

from ledger.consensus.blocks import Proposal
from ledger.consensus.epoch import Epoch, Tip
from ledger.crypto.domains import VoteKind
from ledger.types.block import Certificate, FinalityProof, Vote
from ledger.types.messages import ChainMessage, Message, Propose


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Tick again at this monotonic time; replaces any earlier wish."""

    monotonic_ms: int


@dataclass(frozen=True, slots=True)
class VerifySignatures:
    """Verify each vote and certificate under the epoch's keys; answered by `SignaturesVerified`.

    `message` comes back with the answer whatever was genuine.
    """

    peer: bytes
    epoch: Epoch
    votes: tuple[Vote, ...]
    certificates: tuple[Certificate, ...]
    message: Propose | ChainMessage | None = None


@dataclass(frozen=True, slots=True)
class BuildBlock:
    """Build and execute a block for `slot` on `parent`; answered by `BlockBuilt` or `BuildPostponed`.

    `parent` is final or was validated or built before. Slot 0 of it is the epoch's root.
    """

    epoch: Epoch
    slot: int
    parent: Tip
    parent_signers: bytes
    time_ms: int


@dataclass(frozen=True, slots=True)
class ValidateBlock:
    """Execute a block on its parent; answered by `BlockValidated` or `BlockRefused`.

    The parent is final or was validated or built before.
    """

    proposal: Proposal


@dataclass(frozen=True, slots=True)
class PersistProposal:
    """Write a block ahead, durably: it is certified, or about to be voted for."""

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
    """Make a validated block final, durably; `proof` is None where a later block's proof covers it."""

    proposal: Proposal
    proof: FinalityProof | None


@dataclass(frozen=True, slots=True)
class OpenEpoch:
    """The end block is final: say who is in the epoch that starts; answered by `EpochOpened`."""

    number: int
    root: Tip


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message to one peer."""

    peer: bytes
    message: Message


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Send a message to every peer."""

    message: Message


@dataclass(frozen=True, slots=True)
class Gossip:
    """Send a message to this many peers, drawn anew each time."""

    message: Message
    peers: int


@dataclass(frozen=True, slots=True)
class ServeBlock:
    """Send a peer the final block of this hash, if the store has it."""

    peer: bytes
    block_hash: bytes


@dataclass(frozen=True, slots=True)
class ServeChain:
    """Send a peer a `ChainMessage` of final blocks above this height, of one epoch, if there are any."""

    peer: bytes
    height: int


@dataclass(frozen=True, slots=True)
class ReportEvidence:
    """An agent signed two votes that contradict each other."""

    first: Vote
    second: Vote


@dataclass(frozen=True, slots=True)
class Halt:
    """Nothing safe is left to do: stop the node with this line."""

    detail: str


Effect = (
    WakeAt
    | VerifySignatures
    | BuildBlock
    | ValidateBlock
    | PersistProposal
    | PersistCertificate
    | SignVote
    | CommitBlock
    | OpenEpoch
    | Send
    | Broadcast
    | Gossip
    | ServeBlock
    | ServeChain
    | ReportEvidence
    | Halt
)
