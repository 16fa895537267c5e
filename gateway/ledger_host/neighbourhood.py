"""What the handlers ask about other nodes; a node that is alone has nothing to say."""

from typing import Protocol

from gateway.model.ledger_api import PeersReply
from ledger.types.transaction import ReportEvidence


class Neighbourhood(Protocol):
    """Both are called on the event loop."""

    def peers(self) -> PeersReply:
        """Return who is connected, and who is not and why."""
        ...

    def reports(self) -> tuple[ReportEvidence, ...]:
        """Return what the chain must hear of agents that contradicted themselves."""
        ...


class NoNeighbours:
    """Of a node that is alone."""

    def peers(self) -> PeersReply:
        """There are none."""
        return PeersReply((), 0, 0, 0)

    def reports(self) -> tuple[ReportEvidence, ...]:
        """There is nobody to report."""
        return ()
