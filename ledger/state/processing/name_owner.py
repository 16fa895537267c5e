"""NameOwner: say which account may retire a node when the node itself no longer can.

Rule 1: the node is registered and not retired.
Rule 2: the first owner is named by the node's metering key, each later one by the owner before.
"""

from ledger.errors import Reason, Rejected
from ledger.state.identities import check_not_retired, get_node, get_owner
from ledger.state.keys import owner_key
from ledger.state.overlay import Overlay
from ledger.types.identity_bodies import NameOwner


def process_name_owner(state: Overlay, sender: bytes, body: NameOwner) -> Rejected | None:
    """Store the owner."""
    node = get_node(state, body.node)
    if node is None:
        return Rejected(Reason.UNKNOWN_NODE, f"node {body.node.hex()[:16]} is not registered")
    refusal = check_not_retired(state, body.node)
    if refusal is not None:
        return refusal
    owner = get_owner(state, body.node)
    if sender != (node.metering if owner is None else owner):
        whose = "the node's metering key" if owner is None else "the present owner"
        return Rejected(Reason.NOT_OWNER, f"only {whose} names the owner")
    state.put(owner_key(body.node), body.owner)
    return None
