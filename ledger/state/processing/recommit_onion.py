"""RecommitOnion: replace an agent's onion, for example one whose next reveal was lost.

Rule 1: the sender is an agent that is not barred.
Rule 2: the onion is a commitment, not zeros.
Rule 3: it is used from two epochs on, whose beacon nobody knows yet: a fresh onion cannot be chosen
to suit one.
"""

import msgspec

from ledger.crypto.domains import NO_HASH
from ledger.errors import Reason, Rejected
from ledger.state.agents import get_agent, put_agent
from ledger.state.epochs import get_epoch
from ledger.state.overlay import Overlay
from ledger.state.processing.register_agent import ONION_EPOCHS_AHEAD
from ledger.types.transaction import RecommitOnion


def process_recommit_onion(state: Overlay, sender: bytes, body: RecommitOnion) -> Rejected | None:
    """Note the onion that replaces the agent's."""
    agent = get_agent(state, sender)
    if agent is None or agent.is_tombstoned:
        return Rejected(Reason.UNKNOWN_AGENT, f"{sender.hex()[:16]} does not stand for election")
    if body.onion == NO_HASH:
        return Rejected(Reason.MALFORMED, "the onion is not a commitment")
    renewed = msgspec.structs.replace(
        agent,
        onion_next=body.onion,
        onion_next_epoch=get_epoch(state).epoch + ONION_EPOCHS_AHEAD,
    )
    put_agent(state, sender, renewed)
    return None
