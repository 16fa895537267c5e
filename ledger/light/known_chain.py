"""A node's own chain as the starting point of a snapshot: of a node that is further behind than its peers keep.

Rule 1: what is final here stays final: the snapshot's trail holds no end block that this chain has not.
Rule 2: the agents that this chain trusts, and nobody before them, certify what comes next.
Rule 3: they are trusted for a while only (`TRUST_PERIOD_MS`): later they may have taken back what they would
lose by signing a second chain. Whether it is over is for who knows the time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ledger.errors import Reason, Rejected
from ledger.light.snapshot import TrailEnd
from ledger.types.agent_set import AgentSet
from ledger.types.genesis import Genesis

Members = frozenset[tuple[bytes, bytes]]  # node id and consensus key


def members_of_genesis(genesis: Genesis) -> Members:
    """Return the agents of the first epoch."""
    return frozenset((agent.node, agent.consensus) for agent in genesis.agents)


def members_of(agents: AgentSet) -> Members:
    """Return the agents of a set, whatever else has changed about them."""
    return frozenset((seat.node, seat.consensus) for seat in agents.seats)


@dataclass(frozen=True, slots=True)
class KnownChain:
    """The newest final block's place and time (Unix ms), hashes of end blocks by height, who agrees now."""

    height: int
    epoch: int
    time_ms: int
    ends: Mapping[int, bytes]
    first_members: Members
    members: Members

    def check(self, ends: Sequence[TrailEnd]) -> Rejected | None:
        """Return None when a certified trail goes on from this chain, and further than it."""
        newest = ends[-1].header.height
        if newest <= self.height:
            detail = f"the snapshot of block {newest} is no newer than block {self.height}, which is final here"
            return Rejected(Reason.TOO_LATE, detail)
        members = self.first_members
        for end in ends:
            if end.header.height > self.height:
                break
            if self.ends.get(end.header.height) != end.hash:
                detail = (
                    f"the snapshot's block {end.header.height} is not the one that is final here"
                )
                return Rejected(Reason.BAD_BLOCK, detail)
            members = members_of(end.next_set)
        if members != self.members:
            detail = f"the snapshot leaves out a change of agents up to block {self.height}"
            return Rejected(Reason.BAD_BLOCK, detail)
        return None
