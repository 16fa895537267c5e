"""RegisterNode: bind a gateway to its SmartAgent. The sender is the node id.

Rule 1: a node registers once; a retired one never again.
Rule 2: the consensus and the metering key are valid Ed25519 points.
Rule 3: the node id and both keys differ from each other, and no other node uses any of them.
Rule 4: both keys sign that this node may register them: see `domains.possession_message`.
"""

from ledger.codec import canonical
from ledger.crypto import domains
from ledger.crypto.ed25519 import is_public_key, verify_strict
from ledger.errors import Reason, Rejected
from ledger.state.context import BlockContext
from ledger.state.identities import check_not_retired
from ledger.state.keys import node_index_key, node_key
from ledger.state.overlay import Overlay
from ledger.types.records import Node
from ledger.types.transaction import RegisterNode


def process_register_node(
    state: Overlay, context: BlockContext, sender: bytes, body: RegisterNode
) -> Rejected | None:
    """Store the sender as a node with its keys, and index all three keys by node id."""
    retired = check_not_retired(state, sender)
    if retired is not None:
        return retired
    if state.get(node_key(sender)) is not None:
        return Rejected(Reason.ALREADY_EXISTS, f"node {sender.hex()[:16]} is registered")
    keys = (sender, body.consensus, body.metering)
    if not all(is_public_key(key) for key in keys):
        return Rejected(Reason.MALFORMED, "a key is not a valid Ed25519 public key")
    if len(set(keys)) != len(keys):
        return Rejected(Reason.MALFORMED, "node id, consensus key and metering key must differ")
    if not _is_possession_proven(context.chain_id, sender, body):
        return Rejected(Reason.BAD_SIGNATURE, "a key's proof of possession is not for this node")
    for key in keys:
        if state.get(node_index_key(key)) is not None:
            return Rejected(Reason.ALREADY_EXISTS, f"key {key.hex()[:16]} belongs to a node")
        state.put(node_index_key(key), sender)
    node = Node(consensus=body.consensus, metering=body.metering, registered_height=context.height)
    state.put(node_key(sender), canonical.encode(node))
    return None


def _is_possession_proven(chain_id: bytes, node_id: bytes, body: RegisterNode) -> bool:
    message = domains.possession_message(chain_id, node_id)
    return verify_strict(body.consensus, message, body.consensus_proof) and verify_strict(
        body.metering, message, body.metering_proof
    )
