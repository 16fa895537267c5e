"""S5: nobody is accused but who did it."""

from gateway.lab.cluster import Cluster
from gateway.lab.node import LabNode
from ledger.consensus.blocks import Proposal
from ledger.types.block import FinalityProof, Vote


class EvidenceChecker:
    """Knows who is honest. A voter's seat is resolved in the epoch of the accuser."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.accused: set[bytes] = set()

    def on_vote(self, node: LabNode, vote: Vote) -> None:
        pass

    def on_commit(self, node: LabNode, proposal: Proposal, proof: FinalityProof | None) -> None:
        pass

    def on_evidence(self, node: LabNode, first: Vote, second: Vote) -> None:
        if node not in self._cluster.nodes.values():
            return
        assert (first.epoch, first.slot, first.voter) == (second.epoch, second.slot, second.voter)
        accused = node.epoch.nodes[first.voter]
        honest = {other.name for other in self._cluster.nodes.values()}
        assert accused not in honest, f"S5: {accused.hex()[:8]} is honest"
        self.accused.add(accused)
