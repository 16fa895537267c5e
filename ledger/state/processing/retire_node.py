"""RetireNode: end a node's identity for ever, so that a replaced or lost gateway never counts again.

Rule 1: the node is registered and not retired yet.
Rule 2: the sender is the node's owner, or the node itself (its id or its metering key).
Rule 3: a successor is another node that is not retired; it may register later.
From then on the node's keys register nothing, anchor nothing and renew no lease.
"""

from ledger.codec import canonical
from ledger.errors import Reason, Rejected
from ledger.state.identities import check_not_retired, get_node, get_owner, get_retirement
from ledger.state.keys import retirement_key
from ledger.state.overlay import Overlay
from ledger.types.identity_bodies import RetireNode
from ledger.types.identity_records import Retirement


def process_retire_node(
    state: Overlay, sender: bytes, body: RetireNode, height: int
) -> Rejected | None:
    """Store the retirement."""
    node = get_node(state, body.node)
    if node is None:
        return Rejected(Reason.UNKNOWN_NODE, f"node {body.node.hex()[:16]} is not registered")
    refusal = check_not_retired(state, body.node)
    if refusal is not None:
        return refusal
    if sender not in (get_owner(state, body.node), body.node, node.metering):
        return Rejected(Reason.NOT_OWNER, "only the node's owner or the node itself retires it")
    if body.successor is not None and (
        body.successor == body.node or get_retirement(state, body.successor) is not None
    ):
        return Rejected(Reason.OUT_OF_RANGE, "the successor is retired or the node itself")
    retirement = Retirement(height, sender, body.successor)
    state.put(retirement_key(body.node), canonical.encode(retirement))
    return None
