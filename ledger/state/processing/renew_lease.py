"""RenewLease: one running instance holds a node's identity. The sender is the node's metering key.

Rule 1: the node is registered and not retired.
Rule 2: while an instance's lease is alive (its last renewal is less than `LEASE_MS` of block time ago), no
other instance takes it.
Rule 3: an instance's renewals count up: a twin with the same instance, such as a copied card, is noticed.
"""

from ledger.codec import canonical
from ledger.errors import Reason, Rejected
from ledger.params import LEASE_MS
from ledger.state.context import BlockContext
from ledger.state.identities import get_lease, get_metering_node
from ledger.state.keys import lease_key
from ledger.state.overlay import Overlay
from ledger.types.identity_bodies import RenewLease
from ledger.types.identity_records import Lease


def process_renew_lease(
    state: Overlay, context: BlockContext, sender: bytes, body: RenewLease
) -> Rejected | None:
    """Store the instance as the holder, renewed at the block's time."""
    node_id = get_metering_node(state, sender)
    if isinstance(node_id, Rejected):
        return node_id
    held = get_lease(state, node_id)
    refusal = None if held is None else _check_held(held, body, context.time_ms)
    if refusal is not None:
        return refusal
    is_same = held is not None and held.instance == body.instance
    taken_height = held.taken_height if held is not None and is_same else context.height
    lease = Lease(body.instance, body.renewal, context.time_ms, taken_height)
    state.put(lease_key(node_id), canonical.encode(lease))
    return None


def _check_held(held: Lease, body: RenewLease, time_ms: int) -> Rejected | None:
    if held.instance != body.instance:
        end_ms = held.renewed_ms + LEASE_MS
        if time_ms < end_ms:
            return Rejected(
                Reason.LEASE_HELD,
                f"instance {held.instance.hex()[:16]} holds this identity for {end_ms - time_ms} ms",
            )
    elif body.renewal <= held.renewal:
        return Rejected(
            Reason.LEASE_HELD,
            f"renewal {body.renewal} was used: this instance runs twice, as from a copied card",
        )
    return None
