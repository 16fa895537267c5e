"""What can happen to the machine. The time comes beside each input, see `Now`.

Rule: what another node sent is `MessageReceived` first; only what `SignaturesVerified` brings back
from the shell is believed.
"""

from dataclasses import dataclass

from ledger.consensus.blocks import Proposal
from ledger.consensus.epoch import Epoch
from ledger.crypto.domains import VoteKind
from ledger.types.block import Certificate, Vote
from ledger.types.messages import ChainMessage, Message, Propose

Peer = bytes  # a node id, which the transport has authenticated


@dataclass(frozen=True, slots=True)
class Now:
    """Unix milliseconds, monotonic milliseconds that never jump, and whether the former is right."""

    wall_ms: int
    monotonic_ms: int
    is_synchronised: bool = True


@dataclass(frozen=True, slots=True)
class Started:
    """The node is up with what the write-ahead log holds above the tip, and the tip's own proof."""

    proposals: tuple[Proposal, ...]
    certificates: tuple[Certificate, ...]


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time has passed or a transaction came; `has_work` tells whether a block would hold any."""

    has_work: bool


@dataclass(frozen=True, slots=True)
class PeerConnected:
    """A peer can be reached, perhaps again."""

    peer: Peer


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A peer sent a message. Nothing in it is verified."""

    peer: Peer
    message: Message


@dataclass(frozen=True, slots=True)
class SignaturesVerified:
    """The answer to `VerifySignatures`: those of its votes and certificates that are genuine."""

    peer: Peer
    votes: tuple[Vote, ...]
    certificates: tuple[Certificate, ...]
    message: Propose | ChainMessage | None


@dataclass(frozen=True, slots=True)
class BlockBuilt:
    """The block that was asked for is there: executed, not yet durable."""

    proposal: Proposal


@dataclass(frozen=True, slots=True)
class BuildPostponed:
    """The block that was asked for cannot be built now: the signer did not answer with its reveal."""

    slot: int


@dataclass(frozen=True, slots=True)
class BlockValidated:
    """The block that was asked about is valid on its parent."""

    block_hash: bytes


@dataclass(frozen=True, slots=True)
class BlockRefused:
    """The block that was asked about is not valid."""

    block_hash: bytes
    detail: str


@dataclass(frozen=True, slots=True)
class VoteSigned:
    """Our vote, with the signature that the guard has on record."""

    vote: Vote


@dataclass(frozen=True, slots=True)
class VoteRefused:
    """The guard refuses this vote for good."""

    kind: VoteKind
    slot: int
    detail: str


@dataclass(frozen=True, slots=True)
class SignerUnavailable:
    """The signer did not answer; nothing is known about the vote."""

    kind: VoteKind
    epoch: int
    slot: int
    block_hash: bytes


@dataclass(frozen=True, slots=True)
class EpochOpened:
    """The end block's state tells who is in the next epoch."""

    epoch: Epoch


Answer = (
    BlockBuilt
    | BuildPostponed
    | BlockValidated
    | BlockRefused
    | VoteSigned
    | VoteRefused
    | SignerUnavailable
)
Input = (
    Started | Ticked | PeerConnected | MessageReceived | SignaturesVerified | EpochOpened | Answer
)
