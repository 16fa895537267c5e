"""What agents send one another (consensus specification 1.3), as canonical bytes.

Rule 1: a message proves nothing by itself: votes and certificates in it are verified by whoever gets it.
Rule 2: every list has its limit here, so that decoding a hostile message costs no more than its bytes.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from ledger.params import AGENTS_MAX
from ledger.types.block import Block, Certificate, FinalityProof, Vote
from ledger.types.primitives import Counter, Hash

PROPOSAL_CERTIFICATES_MAX = 65  # the parent's proof and WINDOW skipped slots
VOTE_SET_SLOTS = 3  # open slots that one exchange of vote sets covers
VOTES_MAX = VOTE_SET_SLOTS * 3 * AGENTS_MAX  # three kinds of vote
CHAIN_BLOCKS_MAX = 64  # what one answer to `GetChain` holds, bounded by bytes as well


class _Message(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The shape that all of them share."""


class Propose(_Message, frozen=True, tag=1):
    """A block, its proposer's NOTARIZE, and what justifies it: proof(parent), skipped slots."""

    block: Block
    vote: Vote
    certificates: Annotated[tuple[Certificate, ...], Meta(max_length=PROPOSAL_CERTIFICATES_MAX)]


class VoteMessage(_Message, frozen=True, tag=2):
    """One vote."""

    vote: Vote


class CertificateMessage(_Message, frozen=True, tag=3):
    """One certificate."""

    certificate: Certificate


class VoteSet(_Message, frozen=True, tag=4):
    """Votes of any agents in the newest open slots: partial certificates travel by third parties."""

    votes: Annotated[tuple[Vote, ...], Meta(max_length=VOTES_MAX)]


class Status(_Message, frozen=True, tag=5):
    """Where a node stands; `time_ms` is its Unix time, which counts only when it is synchronised."""

    epoch: Counter
    slot: Counter
    height: Counter
    block_hash: Hash
    time_ms: Counter
    is_synchronised: bool


class GetBlock(_Message, frozen=True, tag=6):
    """Ask for a block above the newest final one, or a final one. Answer: `BlockMessage`."""

    epoch: Counter
    block_hash: Hash


class BlockMessage(_Message, frozen=True, tag=7):
    """A block that was asked for."""

    block: Block


class GetProposal(_Message, frozen=True, tag=8):
    """Ask for the proposal of a slot. Answer: `Propose`."""

    epoch: Counter
    slot: Counter


class GetChain(_Message, frozen=True, tag=9):
    """Ask for the final blocks above `height`. Answer: `ChainMessage`."""

    height: Counter


class ChainMessage(_Message, frozen=True, tag=10):
    """Final blocks of one epoch, linked and in order; `proof` makes the last one final."""

    epoch: Counter
    blocks: Annotated[tuple[Block, ...], Meta(min_length=1, max_length=CHAIN_BLOCKS_MAX)]
    proof: FinalityProof


class EvidenceMessage(_Message, frozen=True, tag=11):
    """Two votes of one agent that contradict each other."""

    first: Vote
    second: Vote


Message = (
    Propose
    | VoteMessage
    | CertificateMessage
    | VoteSet
    | Status
    | GetBlock
    | BlockMessage
    | GetProposal
    | GetChain
    | ChainMessage
    | EvidenceMessage
)
