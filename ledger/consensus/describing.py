"""What the running slot waits for, in one word for people."""

from ledger.consensus.state import State
from ledger.crypto.domains import VoteKind


def describe(state: State) -> str:
    """Return where the running slot stands."""
    if state.is_halted:
        return "halted"
    if state.is_opening:
        return "opening epoch"
    if VoteKind.NULLIFY in state.asked:
        return "skipping"
    if VoteKind.NOTARIZE in state.asked:
        return "voting"
    if state.building is not None:
        return "building"
    if state.slot in state.candidates:
        return "validating"
    return "waiting"
