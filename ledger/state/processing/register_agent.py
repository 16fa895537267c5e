"""RegisterAgent: stand for election. The sender is the node id.

Rule 1: the sender is a registered node, not retired and not barred for ever.
Rule 2: it has no bond yet; the bond is at least `bond_min` and comes from its balance.
Rule 3: the onion is a commitment, not zeros: who is elected must move the beacon.
Rule 4: there is a place among the candidates. An agent that returns keeps its record, jail included,
and its onion until the new one counts, two epochs from now: it may still have a seat.
"""

import msgspec

from ledger.crypto.domains import NO_HASH
from ledger.errors import Reason, Rejected
from ledger.state.agents import add_agent, get_agent, get_parameters
from ledger.state.epochs import get_epoch
from ledger.state.identities import check_not_retired, get_node
from ledger.state.overlay import Overlay
from ledger.state.stake import bind
from ledger.types.stake import Agent
from ledger.types.transaction import RegisterAgent

ONION_EPOCHS_AHEAD = 2  # the beacon of that epoch is not known yet


def process_register_agent(state: Overlay, sender: bytes, body: RegisterAgent) -> Rejected | None:
    """Bind the bond and index the agent."""
    node = get_node(state, sender)
    if node is None:
        return Rejected(Reason.NOT_OWNER, f"{sender.hex()[:16]} is not a registered node")
    known = get_agent(state, sender)
    refusal = check_not_retired(state, sender) or _check_standing(
        known, body, get_parameters(state).bond_min
    )
    if refusal is not None:
        return refusal
    refusal = bind(state, sender, node.metering, body.bond)
    if refusal is not None:
        return refusal
    epoch = get_epoch(state).epoch
    if known is None:
        agent = Agent(
            bond=body.bond,
            delegated=0,
            onion=body.onion,
            onion_next=NO_HASH,
            onion_next_epoch=0,
            registered_epoch=epoch,
        )
    else:
        agent = msgspec.structs.replace(
            known,
            bond=body.bond,
            onion_next=body.onion,
            onion_next_epoch=epoch + ONION_EPOCHS_AHEAD,
            registered_epoch=epoch,
        )
    return add_agent(state, sender, agent)


def _check_standing(known: Agent | None, body: RegisterAgent, bond_min: int) -> Rejected | None:
    if known is not None and known.is_tombstoned:
        return Rejected(Reason.NOT_OWNER, "the agent is barred for ever: it signed twice")
    if known is not None and known.bond:
        return Rejected(Reason.ALREADY_EXISTS, "the node is an agent: raise its bond by delegating")
    if body.bond < bond_min:
        return Rejected(Reason.OUT_OF_RANGE, f"a bond of {body.bond}, at least {bond_min} needed")
    if body.onion == NO_HASH:
        return Rejected(Reason.MALFORMED, "the onion is not a commitment")
    return None
