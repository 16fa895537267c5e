"""VoteAgents: choose the agents for which the sender's balance counts, now and as it changes.

Rule 1: up to `VOTE_CHOICES_MAX` choices, each an agent with a bond that is not barred, none twice.
Rule 2: a new vote replaces the old one and is fresh: it decays from this week on.
Rule 3: no choices withdraw the vote.
The balance is counted behind the block's last transaction (`ledger.state.votes`).
"""

import msgspec

from ledger.errors import Reason, Rejected
from ledger.params import WEEK_MS
from ledger.state.accounts import get_account, put_account
from ledger.state.agents import get_agent
from ledger.state.context import BlockContext
from ledger.state.keys import vote_key
from ledger.state.loading import save
from ledger.state.overlay import Overlay
from ledger.state.votes import withdraw_vote
from ledger.types.stake import VoteRecord
from ledger.types.transaction import VoteAgents


def process_vote_agents(
    state: Overlay, context: BlockContext, sender: bytes, body: VoteAgents
) -> Rejected | None:
    """Replace the sender's vote."""
    if len(set(body.choices)) != len(body.choices):
        return Rejected(Reason.DUPLICATE, "an agent is chosen twice")
    for choice in body.choices:
        agent = get_agent(state, choice)
        if agent is None or not agent.bond or agent.is_tombstoned:
            detail = f"{choice.hex()[:16]} does not stand for election"
            return Rejected(Reason.UNKNOWN_AGENT, detail)
    withdraw_vote(state, sender)
    if body.choices:
        week = context.time_ms // WEEK_MS
        save(state, vote_key(sender), VoteRecord(body.choices, week, counted=0))
    account = get_account(state, sender)
    voter = msgspec.structs.replace(account, is_voter=bool(body.choices))
    put_account(state, sender, voter)
    return None
