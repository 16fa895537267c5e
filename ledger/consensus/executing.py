"""Which blocks were executed: a block is judged on its parent, so parents come first.

Rule 1: what needs no state is judged here (place, time, seals), the rest by `ValidateBlock`.
Rule 2: a verdict is about a hash and stays.
"""

from ledger.consensus.blocks import Proposal, find_misplacement
from ledger.consensus.effects import ValidateBlock
from ledger.consensus.fetching import want_block
from ledger.consensus.parents import get_parent
from ledger.consensus.state import State


def settle(state: State, proposal: Proposal) -> bool:
    """Tell whether a block is valid; if that is not known yet, take the next step towards it.

    The next step is the lowest block of its ancestry that is not yet judged.
    """
    while not state.is_valid(proposal.hash):
        lowest = _find_lowest(state, proposal)
        if lowest is None or not _judge(state, lowest):
            return False
    return True


def _find_lowest(state: State, proposal: Proposal) -> Proposal | None:
    """Return the first block of an ancestry whose parent is valid and which is not judged itself."""
    while proposal.hash not in state.invalid:
        parent_hash = proposal.header.parent_hash
        if state.is_valid(parent_hash):
            return proposal
        parent = state.blocks.get(parent_hash)
        if parent is None:
            want_block(state, parent_hash, None)
            return None
        if parent.header.height >= proposal.header.height or parent_hash in state.invalid:
            state.invalid[proposal.hash] = "its parent is not valid"
            return None
        proposal = parent
    return None


def _judge(state: State, proposal: Proposal) -> bool:
    """Judge a block whose parent is valid, or have it executed; tell whether it is valid now."""
    parent = get_parent(state, proposal.header.parent_hash)
    assert parent is not None, "a valid parent is here"
    place = (proposal, parent.proposal, state.tip, state.epoch, state.rules.slot_ms)
    fault = find_misplacement(*place)
    if fault is not None:
        state.invalid[proposal.hash] = fault
        return False
    if proposal.header.seal:
        state.valid.add(proposal.hash)
        return True
    if proposal.hash not in state.validating:
        state.validating.add(proposal.hash)
        state.emit(ValidateBlock(proposal))
    return False


def take_verdict(state: State, block_hash: bytes, fault: str | None) -> None:
    """Remember what executing a block came to (None: it is valid)."""
    if block_hash not in state.validating:
        return
    state.validating.discard(block_hash)
    if block_hash not in state.blocks:
        return
    if fault is None:
        state.valid.add(block_hash)
    else:
        state.invalid[block_hash] = fault
