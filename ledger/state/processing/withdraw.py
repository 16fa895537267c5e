"""Withdraw: move stake whose unbonding time is over back to the balance.

Rule 1: something is free at the block's time.
Rule 2: nothing is free for an agent that is about to be slashed.
"""

from ledger.errors import Reason, Rejected
from ledger.state.accounts import STAKE_ESCROW, decrease_balance, increase_balance
from ledger.state.context import BlockContext
from ledger.state.overlay import Overlay
from ledger.state.penalties import get_pending_slashes
from ledger.state.stake import get_unbonding, put_unbonding


def process_withdraw(state: Overlay, context: BlockContext, sender: bytes) -> Rejected | None:
    """Pay what is free to the sender."""
    entries = get_unbonding(state, sender)
    free = [entry for entry in entries if entry.free_at_ms <= context.time_ms]
    if not free:
        when = f"the first at {entries[0].free_at_ms} ms" if entries else "nothing is unbonding"
        return Rejected(Reason.TOO_EARLY, f"no stake is free yet: {when}")
    if any(slash.node == sender for slash in get_pending_slashes(state)):
        return Rejected(Reason.TOO_EARLY, "a penalty is announced: first that is taken")
    put_unbonding(state, sender, entries[len(free) :])
    amount = sum(entry.amount for entry in free)
    refusal = decrease_balance(state, STAKE_ESCROW, amount)
    assert refusal is None, "the escrow holds all that is unbonding"
    return increase_balance(state, sender, amount)
