"""Our votes: when we ask the signer for one, and what we do with its answer (1.4).

Rule 1: the block is durable before NOTARIZE, the certificate before FINALIZE; the guard's record is
before any signature.
Rule 2: the guard alone decides about contradictions; a refusal is never worked around.
"""

from ledger.consensus.effects import Broadcast, Halt, SignVote
from ledger.consensus.executing import settle
from ledger.consensus.fetching import persist, want_block
from ledger.consensus.parents import get_parent, is_extension
from ledger.consensus.state import FUTURE_MS_MAX, State, get_wall_ms
from ledger.crypto.domains import NO_HASH, VoteKind
from ledger.types.block import Vote
from ledger.types.messages import Propose, VoteMessage


def try_notarize(state: State) -> None:
    """Vote for the running slot's proposal as soon as it is proven, here and valid (1.4 `try_vote`)."""
    candidate = state.candidates.get(state.slot)
    if candidate is None or state.epoch.our_seat is None or VoteKind.NOTARIZE in state.asked:
        return
    proposal = candidate.proposal
    if not is_extension(state, proposal.header) or is_held_back(state):
        return
    if get_parent(state, proposal.header.parent_hash) is None:
        want_block(state, proposal.header.parent_hash, None)
        return
    if settle(state, proposal):
        persist(state, proposal)
        ask_vote(state, VoteKind.NOTARIZE, state.slot, proposal.hash)
    elif proposal.hash in state.invalid:
        state.pace.is_over = True


def is_held_back(state: State) -> bool:
    """Tell whether the proposal's time is too far ahead of our clock, if ours is worth anything."""
    candidate = state.candidates.get(state.slot)
    if candidate is None or not state.now.is_synchronised:
        return False
    is_ours = candidate.proposal.header.proposer == _our_node(state)
    return not is_ours and candidate.proposal.header.time_ms > get_wall_ms(state) + FUTURE_MS_MAX


def nullify(state: State) -> None:
    """Vote to skip the running slot, once."""
    if state.epoch.our_seat is not None and VoteKind.NULLIFY not in state.asked:
        ask_vote(state, VoteKind.NULLIFY, state.slot, NO_HASH)


def ask_vote(state: State, kind: VoteKind, slot: int, block_hash: bytes) -> None:
    """Ask the signer; in the running slot never twice for one kind."""
    if slot == state.slot:
        state.asked.add(kind)
    state.emit(SignVote(kind, state.epoch.number, slot, block_hash))


def send_signed(state: State, vote: Vote) -> None:
    """Tell everybody our vote; with it the block, if it is the NOTARIZE of our own proposal."""
    if vote.slot == state.slot:
        state.votes.append(vote)
    candidate = state.candidates.get(vote.slot)
    is_own_block = (
        vote.kind is VoteKind.NOTARIZE
        and candidate is not None
        and candidate.proposal.hash == vote.block_hash
        and candidate.proposal.header.proposer == _our_node(state)
    )
    if is_own_block:
        assert candidate is not None
        candidate.vote = vote
        state.emit(Broadcast(Propose(candidate.proposal.block, vote, candidate.certificates)))
    else:
        state.emit(Broadcast(VoteMessage(vote)))


def take_refusal(state: State, kind: VoteKind, slot: int, detail: str) -> None:
    """Live with a refusal: others end the slot. Alone, skip the slot; if that is refused too, halt."""
    if slot != state.slot or not state.epoch.is_ours_alone:
        return
    if kind is not VoteKind.NULLIFY:
        state.pace.is_over = True
        nullify(state)
        return
    state.is_halted = True
    line = (
        f"slot {slot}: the SmartAgent refuses to vote or to skip ({detail}): its record is ahead of"
        " this chain database: put the newest chain database back"
    )
    state.emit(Halt(line))


def wait_for_signer(state: State, vote: SignVote) -> None:
    """Ask again later: nothing is known about this vote."""
    state.unsigned[vote.kind, vote.slot] = vote
    state.sign_retry_ms = state.now.monotonic_ms + state.rules.retry_ms


def ask_signer_again(state: State) -> None:
    """Repeat what the signer did not answer, as far as it still matters."""
    if state.sign_retry_ms is None or state.now.monotonic_ms < state.sign_retry_ms:
        return
    unsigned, state.unsigned, state.sign_retry_ms = state.unsigned, {}, None
    for vote in unsigned.values():
        is_current = vote.slot == state.slot
        if is_current or (vote.kind is VoteKind.FINALIZE and vote.slot > state.tip.slot):
            state.emit(vote)


def _our_node(state: State) -> bytes | None:
    seat = state.epoch.our_seat
    return None if seat is None else state.epoch.nodes[seat]
