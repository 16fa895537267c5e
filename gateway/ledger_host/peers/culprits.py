"""Agents that signed two votes that contradict each other, until the chain has convicted them.

What is kept here is lost with the process; whoever else saw the votes reports them as well.
"""

from collections import OrderedDict
from collections.abc import Sequence

from ledger.types.block import Vote
from ledger.types.transaction import ReportEvidence

CULPRITS_MAX = 32  # one third of the seats: with more of them the chain is not safe anyway


class Culprits:
    """One report an agent."""

    def __init__(self) -> None:
        self._reports: OrderedDict[bytes, ReportEvidence] = OrderedDict()

    def note(self, nodes: Sequence[bytes], first: Vote, second: Vote) -> bytes | None:
        """Keep two genuine votes of one seat of the set `nodes`; return the agent if it is a new one."""
        agent = nodes[first.voter]
        if agent in self._reports or len(self._reports) >= CULPRITS_MAX:
            return None
        self._reports[agent] = ReportEvidence(agent, first, second)
        return agent

    def reports(self) -> tuple[ReportEvidence, ...]:
        """Return what is to be reported to the chain."""
        return tuple(self._reports.values())

    def forget(self, agent: bytes) -> None:
        """The chain has convicted the agent."""
        self._reports.pop(agent, None)
