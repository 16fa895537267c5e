"""The ledger's answers about identities: nodes with their leases, revoked grants, listed software."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from gateway.ledger_host.identity_replies import (
    build_identity_reply,
    build_revocation_reply,
    build_software_reply,
)
from gateway.model.ledger_api import IdentityReply, RevocationReply, SoftwareReply
from ledger.node.node import LedgerNode

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
