"""Identities in the words of the replies: nodes with their leases, revoked grants, listed software."""

from gateway.model.ledger_api import IdentityReply, RevocationReply, SoftwareReply
from ledger.node.views import IdentityView
from ledger.params import LEASE_MS
from ledger.types.identity_records import Revocation, Software


def build_revocation_reply(found: Revocation | None) -> RevocationReply:
    """Return a revocation in the words of the reply."""
    if found is None:
        return RevocationReply("none")
    return RevocationReply(
        state=found.state.name.lower(),
        by=found.by.hex(),
        subject=found.subject.hex(),
        cause=found.cause.name.lower(),
        note=found.note,
        height=found.height,
        statement=found.statement,
        decision=found.decision,
        decided_height=found.decided_height,
    )


def build_software_reply(found: Software | None) -> SoftwareReply:
    """Return a listed measurement in the words of the reply."""
    if found is None:
        return SoftwareReply(listed=False)
    return SoftwareReply(listed=True, label=found.label, height=found.height)


def build_identity_reply(view: IdentityView) -> IdentityReply:
    """Return a view in the words of the reply."""
    lease, retirement = view.lease, view.retirement
    return IdentityReply(
        registered=view.node is not None,
        time_ms=view.time_ms,
        metering="" if view.node is None else view.node.metering.hex(),
        owner="" if view.owner is None else view.owner.hex(),
        retired_height=0 if retirement is None else retirement.height,
        successor=(
            retirement.successor.hex() if retirement is not None and retirement.successor else ""
        ),
        lease_instance="" if lease is None else lease.instance.hex(),
        lease_renewal=0 if lease is None else lease.renewal,
        lease_until_ms=0 if lease is None else lease.renewed_ms + LEASE_MS,
    )
