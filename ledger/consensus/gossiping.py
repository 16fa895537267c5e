"""Against loss: what is repeated, what is exchanged with a few, what a laggard is handed (1.4)."""

from ledger.consensus.effects import Broadcast, Gossip, Send
from ledger.consensus.state import (
    CERTIFICATE_PEERS,
    GOSSIP_PEERS,
    HELP_SLOTS_MAX,
    State,
    get_wall_ms,
)
from ledger.crypto.domains import VoteKind
from ledger.types.block import Certificate, Vote
from ledger.types.messages import (
    VOTE_SET_SLOTS,
    CertificateMessage,
    Propose,
    Status,
    VoteMessage,
    VoteSet,
)

PEERS_REMEMBERED_MAX = 1_024  # for the rate of answers: the set, its followers and newcomers


def get_status(state: State) -> Status:
    """Return where we stand."""
    return Status(
        epoch=state.epoch.number,
        slot=state.slot,
        height=state.tip.height,
        block_hash=state.tip.hash,
        time_ms=get_wall_ms(state),
        is_synchronised=state.now.is_synchronised,
    )


def repeat(state: State) -> None:
    """Say again what we said in this slot, how the last one ended, and where we stand."""
    for vote in state.votes:
        state.emit(Broadcast(VoteMessage(vote)))
    candidate = state.candidates.get(state.slot)
    if candidate is not None and candidate.vote is not None:
        is_ours = candidate.vote.voter == state.epoch.our_seat
        if is_ours:
            block = candidate.proposal.block
            state.emit(Broadcast(Propose(block, candidate.vote, candidate.certificates)))
    last = state.certificates.any_at(state.slot - 1)
    if last is not None:
        state.emit(Gossip(CertificateMessage(last), CERTIFICATE_PEERS))
    state.emit(Broadcast(get_status(state)))


def exchange(state: State) -> None:
    """Hand a few peers what we know of the newest open slots: certificates, else every vote."""
    votes: list[Vote] = []
    held = state.certificates
    first = max(state.tip.slot + 1, state.slot - VOTE_SET_SLOTS + 1)
    for slot in range(first, state.slot + 1):
        block, skip = held.for_block(slot), held.nullified.get(slot)
        for certificate in (block, skip):
            if certificate is not None:
                state.emit(Gossip(CertificateMessage(certificate), GOSSIP_PEERS))
        missing = [kind for kind in VoteKind if slot not in held.of_kind(kind)]
        votes.extend(state.book.votes(slot, missing))
    if votes:
        state.emit(Gossip(VoteSet(tuple(votes)), GOSSIP_PEERS))


def may_answer(state: State, peer: bytes) -> bool:
    """Tell whether a peer may have an unasked answer now: one in `retry_ms`, and remember it."""
    now_ms = state.now.monotonic_ms
    last = state.answered.get(peer)
    if last is not None and now_ms < last + state.rules.retry_ms:
        return False
    if peer not in state.answered and len(state.answered) >= PEERS_REMEMBERED_MAX:
        del state.answered[next(iter(state.answered))]
    state.answered[peer] = now_ms
    return True


def help_laggard(state: State, peer: bytes, slot: int) -> None:
    """Hand a peer that is in an older slot the certificates that move it on, bounded and not often."""
    if slot >= state.slot or not may_answer(state, peer):
        return
    tip_proof = state.certificates.final.get(state.tip.slot)
    if slot <= state.tip.slot and tip_proof is not None:
        _send(state, peer, tip_proof)
    first = max(slot, state.tip.slot + 1)
    for number in range(first, min(state.slot, first + HELP_SLOTS_MAX)):
        certificate = state.certificates.any_at(number)
        if certificate is not None:
            _send(state, peer, certificate)


def _send(state: State, peer: bytes, certificate: Certificate) -> None:
    state.emit(Send(peer, CertificateMessage(certificate)))
