"""DecideAppeal: the foundation upholds a revocation or reinstates the grant.

Rule 1: the sender is the foundation.
Rule 2: an appeal was made and is not decided.
Rule 3: the note is one line of plain text.
"""

import msgspec

from ledger.codec import canonical
from ledger.errors import Reason, Rejected
from ledger.state.identities import check_foundation, get_revocation
from ledger.state.keys import revocation_key
from ledger.state.overlay import Overlay
from ledger.state.plain_text import is_plain_text
from ledger.types.identity_bodies import DecideAppeal
from ledger.types.identity_records import RevocationState


def process_decide_appeal(
    state: Overlay, sender: bytes, body: DecideAppeal, height: int
) -> Rejected | None:
    """Store the decision with the revocation."""
    refusal = check_foundation(state, sender)
    if refusal is not None:
        return refusal
    revocation = get_revocation(state, body.grant_id)
    if revocation is None or revocation.state is not RevocationState.APPEALED:
        return Rejected(
            Reason.UNKNOWN_GRANT, f"no appeal for grant {body.grant_id.hex()[:16]} is open"
        )
    if not is_plain_text(body.note):
        return Rejected(Reason.MALFORMED, "the note is one line of plain text")
    decided = msgspec.structs.replace(
        revocation,
        state=RevocationState.REINSTATED if body.is_reinstated else RevocationState.UPHELD,
        decision=body.note,
        decided_height=height,
    )
    state.put(revocation_key(body.grant_id), canonical.encode(decided))
    return None
