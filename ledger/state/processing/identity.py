"""Which rule judges which body about identities."""

from typing import assert_never

from ledger.errors import Rejected
from ledger.state.context import BlockContext
from ledger.state.overlay import Overlay
from ledger.state.processing.appeal_revocation import process_appeal_revocation
from ledger.state.processing.decide_appeal import process_decide_appeal
from ledger.state.processing.list_software import process_list_software
from ledger.state.processing.name_owner import process_name_owner
from ledger.state.processing.renew_lease import process_renew_lease
from ledger.state.processing.retire_node import process_retire_node
from ledger.state.processing.revoke_grant import process_revoke_grant
from ledger.types.identity_bodies import (
    AppealRevocation,
    DecideAppeal,
    IdentityBody,
    ListSoftware,
    NameOwner,
    RenewLease,
    RetireNode,
    RevokeGrant,
)


def process_identity_body(
    state: Overlay, context: BlockContext, sender: bytes, body: IdentityBody
) -> Rejected | None:
    """Apply a body about an identity."""
    match body:
        case RenewLease():
            return process_renew_lease(state, context, sender, body)
        case NameOwner():
            return process_name_owner(state, sender, body)
        case RetireNode():
            return process_retire_node(state, sender, body, context.height)
        case RevokeGrant():
            return process_revoke_grant(state, context, sender, body)
        case AppealRevocation():
            return process_appeal_revocation(state, sender, body)
        case DecideAppeal():
            return process_decide_appeal(state, sender, body, context.height)
        case ListSoftware():
            return process_list_software(state, sender, body, context.height)
        case _:
            assert_never(body)
