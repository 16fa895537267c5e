"""Unjail: stand for election again. Signed by the agent's node, which shows that it is alive.

Rule 1: the sender is an agent in jail.
Rule 2: its time there is over.
"""

import msgspec

from ledger.errors import Reason, Rejected
from ledger.state.agents import get_agent, put_agent
from ledger.state.context import BlockContext
from ledger.state.overlay import Overlay


def process_unjail(state: Overlay, context: BlockContext, sender: bytes) -> Rejected | None:
    """End the jail of the sender."""
    agent = get_agent(state, sender)
    if agent is None or agent.jailed_until_ms is None:
        return Rejected(Reason.UNKNOWN_AGENT, f"{sender.hex()[:16]} is not an agent in jail")
    if context.time_ms < agent.jailed_until_ms:
        left_s = -(-(agent.jailed_until_ms - context.time_ms) // 1_000)
        return Rejected(Reason.TOO_EARLY, f"in jail for another {left_s} s")
    put_agent(state, sender, msgspec.structs.replace(agent, jailed_until_ms=None))
    return None
