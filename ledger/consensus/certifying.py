"""Verified votes become certificates; certificates become durable and drive everything else (1.4).

Rule 1: a certificate is written ahead before any vote that rests on it. A FINALIZE certificate may
be left to the commit that it causes.
Rule 2: one that is held already is dropped first: it costs nothing.
"""

from ledger.consensus.effects import Gossip, PersistCertificate, ReportEvidence
from ledger.consensus.fetching import persist, want_block
from ledger.consensus.state import CERTIFICATE_PEERS, WINDOW, State
from ledger.consensus.voting import ask_vote
from ledger.crypto.domains import VoteKind
from ledger.types.block import Certificate, Vote
from ledger.types.messages import CertificateMessage, EvidenceMessage


def is_countable(state: State, vote: Vote) -> bool:
    """Tell whether a vote is of the running epoch, in the window, by somebody in the set, and new."""
    return (
        vote.epoch == state.epoch.number
        and state.tip.slot <= vote.slot <= state.slot + WINDOW
        and vote.slot > max(0, state.slot - WINDOW)
        and vote.voter < state.epoch.size
        and not state.book.knows(vote)
    )


def count_vote(state: State, vote: Vote) -> bool:
    """Take a verified vote; tell whether it completed a certificate."""
    if not is_countable(state, vote):
        return False
    state.heard[vote.voter] = state.slots_entered
    against = state.book.add(vote)
    if against is not None:
        _report(state, against, vote)
    if vote.slot == state.tip.slot or vote.slot in state.certificates.of_kind(vote.kind):
        return False
    if state.book.count(vote.slot, vote.kind, vote.block_hash) < state.epoch.quorum:
        return False
    certificate = state.book.certify(vote.slot, vote.kind, vote.block_hash)
    add_certificate(state, certificate)
    if state.epoch.size > 1:
        state.emit(Gossip(CertificateMessage(certificate), CERTIFICATE_PEERS))
    return True


def _report(state: State, first: Vote, second: Vote) -> None:
    """Accuse an agent once an epoch (1.7)."""
    if second.voter in state.convicted:
        return
    state.convicted.add(second.voter)
    state.emit(ReportEvidence(first, second))
    state.emit(Gossip(EvidenceMessage(first, second), CERTIFICATE_PEERS))


def is_needed(state: State, certificate: Certificate) -> bool:
    """Tell whether a certificate says something about an open slot that is not known yet."""
    return (
        certificate.epoch == state.epoch.number
        and certificate.slot > state.tip.slot
        and certificate.slot not in state.certificates.of_kind(certificate.kind)
    )


def add_certificate(state: State, certificate: Certificate) -> bool:
    """Take a verified certificate; tell whether it was new."""
    if not is_needed(state, certificate):
        return False
    kind, slot, block_hash = certificate.kind, certificate.slot, certificate.block_hash
    state.certificates.of_kind(kind)[slot] = certificate
    if kind is not VoteKind.FINALIZE:
        state.emit(PersistCertificate(certificate))
    if kind is not VoteKind.NULLIFY:
        block = state.blocks.get(block_hash)
        if block is None:
            want_block(state, block_hash, certificate)
        else:
            persist(state, block)
    if kind is VoteKind.NOTARIZE and may_finalize(state, slot):
        ask_vote(state, VoteKind.FINALIZE, slot, block_hash)
    return True


def may_finalize(state: State, slot: int) -> bool:
    """Tell whether to ask for our FINALIZE: in a slot that we have neither left nor asked to skip.

    The guard, which alone remembers a former life, refuses it after any NULLIFY.
    """
    has_skipped = slot == state.slot and VoteKind.NULLIFY in state.asked
    return state.epoch.our_seat is not None and slot >= state.slot and not has_skipped
