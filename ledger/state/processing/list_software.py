"""ListSoftware: the chain's list of software measurements that peers need not be wary of.

Rule 1: the sender is the foundation.
Rule 2: the label is one line of plain text.
Rule 3: what is not listed cannot be taken off.
"""

from ledger.codec import canonical
from ledger.errors import Reason, Rejected
from ledger.state.identities import check_foundation
from ledger.state.keys import software_key
from ledger.state.overlay import Overlay
from ledger.state.plain_text import is_plain_text
from ledger.types.identity_bodies import ListSoftware
from ledger.types.identity_records import Software


def process_list_software(
    state: Overlay, sender: bytes, body: ListSoftware, height: int
) -> Rejected | None:
    """Store or remove the measurement."""
    refusal = check_foundation(state, sender)
    if refusal is not None:
        return refusal
    if not is_plain_text(body.label):
        return Rejected(Reason.MALFORMED, "the label is one line of plain text")
    key = software_key(body.measurement)
    if body.is_listed:
        state.put(key, canonical.encode(Software(body.label, height)))
        return None
    if state.get(key) is None:
        return Rejected(
            Reason.OUT_OF_RANGE, f"software {body.measurement.hex()[:16]} is not listed"
        )
    state.delete(key)
    return None
