"""The ledger's answers about identities: nodes with their leases, revoked grants, listed software."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from gateway.model.ledger_api import IdentityReply, RevocationReply, SoftwareReply
from ledger.node.node import LedgerNode
from ledger.node.views import IdentityView
from ledger.params import LEASE_MS
from ledger.types.identity_records import Revocation, Software

_T = TypeVar("_T")


class OnLoop(Protocol):
    """Asks the node on the thread of its event loop."""

    def __call__(self, ask: Callable[[], _T], /) -> _T:
        """Return what `ask` returns there."""
        ...


class IdentityAnswers:
    """Answers requests from a node."""

    def __init__(self, node: LedgerNode, on_loop: OnLoop) -> None:
        self._node = node
        self._on_loop = on_loop

    def identity(self, node_id: bytes) -> IdentityReply:
        """Return what the chain knows of a node."""
        return build_identity_reply(self._on_loop(lambda: self._node.identity(node_id)))

    def revocation(self, grant_id: bytes) -> RevocationReply:
        """Return a grant's revocation."""
        return build_revocation_reply(self._on_loop(lambda: self._node.revocation(grant_id)))

    def software(self, measurement: bytes) -> SoftwareReply:
        """Return whether a measurement is listed."""
        return build_software_reply(self._on_loop(lambda: self._node.software(measurement)))


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
