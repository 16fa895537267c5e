"""What a block may stand on: the highest notarized block below which nothing is open (1.4, 1.7).

A parent is None for the tip, which may be the epoch's root, else a block above it.
"""

from dataclasses import dataclass

from ledger.consensus.blocks import NO_SIGNERS, Proposal
from ledger.consensus.epoch import Tip
from ledger.consensus.state import State
from ledger.crypto.domains import VoteKind
from ledger.types.block import Certificate, Header
from ledger.types.messages import PROPOSAL_CERTIFICATES_MAX


@dataclass(frozen=True, slots=True)
class Parent:
    """A known parent; `proposal` is None for the tip."""

    tip: Tip
    proposal: Proposal | None


def find_parent(state: State) -> Parent | None:
    """Return what the running slot's leader must extend; None while it is not known (1.4 `tip`)."""
    held = state.certificates
    for slot in range(state.slot - 1, state.tip.slot, -1):
        certificate = held.for_block(slot)
        if certificate is not None:
            return get_parent(state, certificate.block_hash)
        if slot not in held.nullified:
            return None
    return Parent(state.tip, None)


def get_parent(state: State, block_hash: bytes) -> Parent | None:
    """Return the block of this hash as a parent, if it is here."""
    if block_hash == state.tip.hash:
        return Parent(state.tip, None)
    proposal = state.blocks.get(block_hash)
    if proposal is None:
        return None
    header = proposal.header
    return Parent(Tip(header.height, header.slot, proposal.hash, header.time_ms), proposal)


def is_extension(state: State, header: Header) -> bool:
    """Tell whether certificates prove that a block of this slot may extend its parent (1.4 `ancestry`).

    Its parent is the tip, or certified above it; every slot between was skipped by a quorum.
    """
    held = state.certificates
    if header.parent_slot < state.tip.slot:
        return False
    if header.parent_slot == state.tip.slot:
        if header.parent_hash != state.tip.hash:
            return False
    else:
        certificate = held.for_block(header.parent_slot)
        if certificate is None or certificate.block_hash != header.parent_hash:
            return False
    return all(slot in held.nullified for slot in range(header.parent_slot + 1, header.slot))


def get_parent_proof(state: State, parent: Tip) -> Certificate | None:
    """Return the certificate of a parent with the most signers known; None for an epoch's root.

    Each signer in it is paid for taking part, so a proposer gathers every vote it has seen.
    """
    if parent.slot == 0:
        return None
    held = state.certificates.for_block(parent.slot)
    votes = state.book.count(parent.slot, VoteKind.NOTARIZE, parent.hash)
    if votes >= state.epoch.quorum and (held is None or votes > len(held.signatures)):
        return state.book.certify(parent.slot, VoteKind.NOTARIZE, parent.hash)
    return held


def get_skipped(state: State, parent_slot: int, slot: int) -> tuple[Certificate, ...]:
    """Return the nullifications between a parent and its child, the newest if there are too many."""
    nullified = state.certificates.nullified
    between = [nullified[s] for s in range(parent_slot + 1, slot) if s in nullified]
    return tuple(between[1 - PROPOSAL_CERTIFICATES_MAX :])


def get_justification(state: State, header: Header) -> tuple[Certificate, ...]:
    """Return what is held of the certificates that a block's proposal carries."""
    proof = state.certificates.for_block(header.parent_slot)
    skipped = get_skipped(state, header.parent_slot, header.slot)
    return skipped if proof is None else (proof, *skipped)


def get_signers(proof: Certificate | None) -> bytes:
    """Return the bitmap that a child of the proven block carries."""
    return NO_SIGNERS if proof is None else proof.signers
