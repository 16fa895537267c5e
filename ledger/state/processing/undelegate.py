"""Undelegate: take stake back from an agent, or lower one's own bond.

Rule 1: the sender has that much with the agent, and takes back more than nothing.
Rule 2: the stake stops counting at once and is free after the unbonding time.
Rule 3: a bond may fall to nothing, or not below `bond_min`. Until it is free it can be slashed.
"""

import msgspec

from ledger.errors import Reason, Rejected
from ledger.state.agents import get_agent, get_known_agent, get_parameters, put_agent
from ledger.state.context import BlockContext
from ledger.state.identities import get_node
from ledger.state.overlay import Overlay
from ledger.state.stake import compute_free_at_ms, get_delegation, put_delegation, unbind
from ledger.types.stake import Delegation, UnbondingEntry
from ledger.types.transaction import Undelegate


def process_undelegate(
    state: Overlay, context: BlockContext, sender: bytes, body: Undelegate
) -> Rejected | None:
    """Let the amount begin its way back."""
    if not body.amount:
        return Rejected(Reason.OUT_OF_RANGE, "an amount of 0")
    free_at_ms = compute_free_at_ms(context.time_ms, get_parameters(state).unbonding_ms)
    if sender == body.agent:
        return _lower_bond(state, body, free_at_ms)
    lent = get_delegation(state, sender, body.agent)
    if lent is None or lent.amount < body.amount:
        held = 0 if lent is None else lent.amount
        return Rejected(Reason.INSUFFICIENT_FUNDS, f"{held} base units are with this agent")
    entry = UnbondingEntry(free_at_ms, body.amount, is_bond=False)
    refusal = unbind(state, sender, lent.beneficiary, entry)
    if refusal is not None:
        return refusal
    left = Delegation(lent.amount - body.amount, lent.beneficiary)
    put_delegation(state, sender, body.agent, left)
    agent = get_known_agent(state, body.agent)
    put_agent(
        state,
        body.agent,
        msgspec.structs.replace(agent, delegated=agent.delegated - body.amount),
    )
    return None


def _lower_bond(state: Overlay, body: Undelegate, free_at_ms: int) -> Rejected | None:
    agent, node = get_agent(state, body.agent), get_node(state, body.agent)
    if agent is None or node is None or agent.bond < body.amount:
        held = 0 if agent is None else agent.bond
        return Rejected(Reason.INSUFFICIENT_FUNDS, f"the bond is {held} base units")
    left, least = agent.bond - body.amount, get_parameters(state).bond_min
    if 0 < left < least and not agent.is_tombstoned:
        detail = f"a bond of {left} would be left: take all, or leave {least}"
        return Rejected(Reason.OUT_OF_RANGE, detail)
    entry = UnbondingEntry(free_at_ms, body.amount, is_bond=True)
    refusal = unbind(state, body.agent, node.metering, entry)
    if refusal is None:
        put_agent(state, body.agent, msgspec.structs.replace(agent, bond=left))
    return refusal
