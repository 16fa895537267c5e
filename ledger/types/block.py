"""Blocks, votes and certificates (consensus specification 1.3)."""

from typing import Annotated

import msgspec
from msgspec import Meta

from ledger.crypto.domains import VoteKind
from ledger.params import HEADER_BYTES_MAX, PROOF_HEADERS_MAX
from ledger.types.primitives import Counter, Hash, Signature, SignerBitmap


class Header(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A block's header; its hash (`domains.header_hash` of the canonical bytes) names the block.

    `reveal` and `next_set_hash` are zeros until the election they belong to exists.
    """

    version: Counter
    chain_id: Hash
    epoch: Counter
    slot: Counter
    height: Counter
    parent_slot: Counter
    parent_hash: Hash
    time_ms: Counter
    proposer: Hash
    seal: bool
    transactions_root: Hash
    state_root: Hash
    outcomes_root: Hash
    reveal: Hash
    parent_signers: SignerBitmap
    next_set_hash: Hash


class Block(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A header's canonical bytes and the signed transactions' canonical bytes, in order."""

    header: bytes
    transactions: tuple[bytes, ...]


class Vote(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """One agent's vote in one slot; `voter` is its index in the epoch's set."""

    kind: VoteKind
    epoch: Counter
    slot: Counter
    block_hash: Hash
    voter: Counter
    signature: Signature


class Certificate(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A quorum's votes of one kind for one block; signatures stand in the order of the bitmap."""

    kind: VoteKind
    epoch: Counter
    slot: Counter
    block_hash: Hash
    signers: SignerBitmap
    signatures: tuple[Signature, ...]


class FinalityProof(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What makes a block final: a FINALIZE certificate of it, or of a descendant.

    `headers` are the canonical headers from the block's child to the certified block, none when the
    certificate is the block's own. Finality of a descendant is finality of the block.
    """

    headers: Annotated[
        tuple[Annotated[bytes, Meta(max_length=HEADER_BYTES_MAX)], ...],
        Meta(max_length=PROOF_HEADERS_MAX),
    ]
    certificate: Certificate
