"""Delegate: lend stake to an agent, or raise one's own bond.

Rule 1: the agent is known, has a bond and is not barred; the amount is more than nothing.
Rule 2: the sender holds the amount.
Rule 3: the beneficiary may meter for free on this stake. All that one account lends to one agent has
one beneficiary: naming another one moves the whole. A bond's is the node's metering key.
"""

import msgspec

from ledger.errors import Reason, Rejected
from ledger.state.agents import get_agent, put_agent
from ledger.state.identities import get_node
from ledger.state.overlay import Overlay
from ledger.state.stake import bind, change_allowance, get_delegation, put_delegation
from ledger.types.stake import Agent, Delegation
from ledger.types.transaction import Delegate


def process_delegate(state: Overlay, sender: bytes, body: Delegate) -> Rejected | None:
    """Move the amount from the sender's balance into stake with the agent."""
    agent = get_agent(state, body.agent)
    if agent is None or not agent.bond or agent.is_tombstoned:
        return Rejected(
            Reason.UNKNOWN_AGENT, f"{body.agent.hex()[:16]} does not stand for election"
        )
    if not body.amount:
        return Rejected(Reason.OUT_OF_RANGE, "an amount of 0")
    if sender == body.agent:
        return _raise_bond(state, agent, body)
    refusal = bind(state, sender, body.beneficiary, body.amount)
    if refusal is not None:
        return refusal
    before = get_delegation(state, sender, body.agent)
    amount = body.amount
    if before is not None:
        change_allowance(state, before.beneficiary, -before.amount)
        change_allowance(state, body.beneficiary, before.amount)
        amount += before.amount
    put_delegation(state, sender, body.agent, Delegation(amount, body.beneficiary))
    lent = msgspec.structs.replace(agent, delegated=agent.delegated + body.amount)
    put_agent(state, body.agent, lent)
    return None


def _raise_bond(state: Overlay, agent: Agent, body: Delegate) -> Rejected | None:
    node = get_node(state, body.agent)
    assert node is not None, "an agent is a node"
    if body.beneficiary != node.metering:
        return Rejected(Reason.MALFORMED, "a bond benefits the node's own metering key")
    refusal = bind(state, body.agent, node.metering, body.amount)
    if refusal is None:
        put_agent(state, body.agent, msgspec.structs.replace(agent, bond=agent.bond + body.amount))
    return refusal
