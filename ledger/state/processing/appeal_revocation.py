"""AppealRevocation: the subject of a revoked grant objects, once, on the record.

Rule 1: the grant is revoked, and no appeal was made or decided.
Rule 2: the sender is the revoked grant's subject.
Rule 3: the statement is one line of plain text. The grant stays revoked until the appeal is decided.
"""

import msgspec

from ledger.codec import canonical
from ledger.errors import Reason, Rejected
from ledger.state.identities import get_revocation
from ledger.state.keys import revocation_key
from ledger.state.overlay import Overlay
from ledger.state.plain_text import is_plain_text
from ledger.types.identity_bodies import AppealRevocation
from ledger.types.identity_records import RevocationState


def process_appeal_revocation(
    state: Overlay, sender: bytes, body: AppealRevocation
) -> Rejected | None:
    """Store the statement with the revocation."""
    revocation = get_revocation(state, body.grant_id)
    if revocation is None:
        return Rejected(Reason.UNKNOWN_GRANT, f"grant {body.grant_id.hex()[:16]} is not revoked")
    if revocation.state is not RevocationState.REVOKED:
        return Rejected(
            Reason.ALREADY_EXISTS, f"the revocation is {revocation.state.name.lower()} already"
        )
    if sender != revocation.subject:
        return Rejected(Reason.NOT_OWNER, "only the grant's subject appeals")
    if not is_plain_text(body.statement):
        return Rejected(Reason.MALFORMED, "the statement is one line of plain text")
    appealed = msgspec.structs.replace(
        revocation, state=RevocationState.APPEALED, statement=body.statement
    )
    state.put(revocation_key(body.grant_id), canonical.encode(appealed))
    return None
