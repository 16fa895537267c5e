"""RevokeGrant: take a grant back, with the cause for everybody to read.

Rule 1: the chain has a foundation; the grant is well-formed, for this chain and signed by its issuer.
Rule 2: the sender is the grant's issuer or the foundation.
Rule 3: it is not revoked already, unless it was reinstated since.
Rule 4: the note is one line of plain text.
"""

from ledger.codec import canonical
from ledger.crypto import domains
from ledger.crypto.ed25519 import verify_strict
from ledger.errors import Reason, Rejected
from ledger.identity.grant import Grant, SignedGrant, compute_grant_id, decode_grant
from ledger.identity.refusals import Refused
from ledger.state.context import BlockContext
from ledger.state.identities import get_foundation, get_revocation
from ledger.state.keys import revocation_key
from ledger.state.overlay import Overlay
from ledger.state.plain_text import is_plain_text
from ledger.types.identity_bodies import RevokeGrant
from ledger.types.identity_records import Revocation, RevocationState


def process_revoke_grant(
    state: Overlay, context: BlockContext, sender: bytes, body: RevokeGrant
) -> Rejected | None:
    """Store the revocation under the grant's id."""
    decoded = decode_grant(body.grant)
    if isinstance(decoded, Refused):
        return Rejected(Reason.MALFORMED, decoded.detail)
    if not is_plain_text(body.note):
        return Rejected(Reason.MALFORMED, "the note is one line of plain text")
    grant, envelope = decoded
    refusal = _check_grant(grant, envelope, context.chain_id) or _check_sender(
        get_foundation(state), grant, sender
    )
    if refusal is not None:
        return refusal
    grant_id = compute_grant_id(envelope)
    known = get_revocation(state, grant_id)
    if known is not None and known.state is not RevocationState.REINSTATED:
        return Rejected(Reason.ALREADY_EXISTS, f"grant {grant_id.hex()[:16]} is revoked")
    revocation = Revocation(
        by=sender,
        subject=grant.subject,
        cause=body.cause,
        note=body.note,
        height=context.height,
        state=RevocationState.REVOKED,
    )
    state.put(revocation_key(grant_id), canonical.encode(revocation))
    return None


def _check_grant(grant: Grant, envelope: SignedGrant, chain_id: bytes) -> Rejected | None:
    if grant.chain_id != chain_id:
        return Rejected(Reason.WRONG_CHAIN, "the grant is for another chain")
    message = domains.grant_message(envelope.payload)
    if not verify_strict(grant.issuer, message, envelope.signature):
        return Rejected(Reason.BAD_SIGNATURE, "the grant is not signed by its issuer")
    return None


def _check_sender(foundation: bytes | None, grant: Grant, sender: bytes) -> Rejected | None:
    if foundation is None:
        return Rejected(Reason.NOT_OWNER, "this chain's genesis names no foundation")
    if sender not in (grant.issuer, foundation):
        return Rejected(Reason.NOT_OWNER, "only the issuer or the foundation revokes a grant")
    return None
