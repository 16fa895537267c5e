"""Our own blocks: built on the parent that certificates name, once a slot (1.4 `try_propose`)."""

from ledger.consensus.blocks import Proposal, build_seal, must_seal
from ledger.consensus.effects import BuildBlock
from ledger.consensus.executing import settle
from ledger.consensus.fetching import persist
from ledger.consensus.parents import (
    Parent,
    find_parent,
    get_parent_proof,
    get_signers,
    get_skipped,
)
from ledger.consensus.slots import get_due_ms
from ledger.consensus.state import Building, Candidate, State, get_wall_ms
from ledger.consensus.voting import ask_vote
from ledger.crypto.domains import VoteKind


def is_leading(state: State) -> bool:
    """Tell whether the running slot is ours."""
    return (
        state.epoch.our_seat is not None and state.epoch.leader(state.slot) == state.epoch.our_seat
    )


def try_propose(state: State) -> None:
    """Have our block built when it is due and its parent is here and valid.

    Not before the shell was asked in this slot whether there is work: the parent may hold it all.
    """
    if not is_leading(state) or state.building is not None or state.slot in state.candidates:
        return
    if not state.pace.has_ticked or VoteKind.NOTARIZE in state.asked:
        return
    if state.now.monotonic_ms < max(get_due_ms(state), state.pace.build_again_ms):
        return
    parent = find_parent(state)
    if parent is None or (parent.proposal is not None and not settle(state, parent.proposal)):
        return
    _build(state, parent)


def _build(state: State, parent: Parent) -> None:
    proof = get_parent_proof(state, parent.tip)
    skipped = get_skipped(state, parent.tip.slot, state.slot)
    certificates = skipped if proof is None else (proof, *skipped)
    state.building = Building(state.slot, parent.tip.hash, certificates)
    # 1.5: the proposer uses max(parent.time + SLOT, wall).
    time_ms = max(parent.tip.time_ms + state.rules.slot_ms, get_wall_ms(state))
    signers = get_signers(proof)
    if must_seal(parent.proposal):
        assert parent.proposal is not None
        take_built(state, build_seal(parent.proposal, state.epoch, state.slot, time_ms, signers))
    else:
        state.emit(BuildBlock(state.epoch, state.slot, parent.tip, signers, time_ms))


def postpone_building(state: State, slot: int) -> None:
    """Ask for our block again a little later, if the slot is still ours to lead."""
    if state.building is not None and state.building.slot == slot:
        state.building = None
        state.pace.build_again_ms = state.now.monotonic_ms + state.rules.retry_ms


def take_built(state: State, proposal: Proposal) -> None:
    """Vote for our block, which then goes out with the vote; one that comes too late is dropped."""
    building, header = state.building, proposal.header
    is_late = (
        building is None
        or (header.epoch, header.slot) != (state.epoch.number, state.slot)
        or building.slot != state.slot
        or building.parent_hash != header.parent_hash
    )
    if is_late or header.slot in state.candidates:
        return
    assert building is not None
    state.building = None
    state.blocks[proposal.hash] = proposal
    state.valid.add(proposal.hash)
    state.candidates[header.slot] = Candidate(proposal, building.certificates, None)
    persist(state, proposal)
    ask_vote(state, VoteKind.NOTARIZE, header.slot, proposal.hash)
