"""S1, S6, S7, S8, S9: what honest nodes have made final."""

from gateway.lab.application import BAD, execute
from gateway.lab.cluster import Cluster
from gateway.lab.node import LabNode
from ledger.consensus.blocks import Proposal, is_epoch_end
from ledger.crypto.domains import VoteKind, header_hash
from ledger.types.block import FinalityProof, Vote


class ChainChecker:
    """Compares every commit of every honest node with the first one of its height."""

    def __init__(self, cluster: Cluster, epoch_blocks: int) -> None:
        self._cluster = cluster
        self._epoch_blocks = epoch_blocks
        self.canonical: dict[int, bytes] = {}
        self.heights: dict[bytes, int] = {}
        self.times_ms: dict[bytes, list[int]] = {}

    def on_vote(self, node: LabNode, vote: Vote) -> None:
        pass

    def on_evidence(self, node: LabNode, first: Vote, second: Vote) -> None:
        pass

    def on_commit(self, node: LabNode, proposal: Proposal, proof: FinalityProof | None) -> None:
        if node not in self._cluster.nodes.values():
            return
        height = proposal.header.height
        first = self.canonical.setdefault(height, proposal.hash)
        assert first == proposal.hash, f"S1: two blocks are final at height {height}"
        expected = self.heights.get(node.name, 0) + 1
        assert height == expected, f"S6: height {height} after {expected - 1}"
        self.heights[node.name] = height
        self.times_ms.setdefault(node.name, []).append(self._cluster.clockwork.now_ms)
        _check_valid(proposal)
        if proof is not None:
            _check_proof(proposal, proof)

    def check_restart(self, node: LabNode) -> None:
        """The power may have gone right after a commit, before anybody saw it."""
        seen = self.heights.get(node.name, 0)
        assert node.height >= seen, "S6: a final block is lost"
        for stored in node.disk.chain[seen:]:
            self.on_commit(node, stored.proposal, stored.proof)

    def check_end(self) -> None:
        for node in self._cluster.nodes.values():
            self.check_restart(node)
            self._check_chain(node)

    def _check_chain(self, node: LabNode) -> None:
        genesis = self._cluster.world.genesis
        parent_hash, root = genesis.hash, genesis.hash
        for place, stored in enumerate(node.disk.chain):
            header = stored.proposal.header
            assert header.height == place + 1, "S1: a hole in the chain"
            assert header.parent_hash == parent_hash, "S1: the chain is not linked"
            assert self.canonical[header.height] == stored.proposal.hash, "S1: another chain"
            root = execute(root, stored.proposal.block.transactions)
            assert header.state_root == root, "S9: state roots differ at equal height"
            self._check_epoch(place, stored.proposal)
            parent_hash = stored.proposal.hash

    def _check_epoch(self, place: int, proposal: Proposal) -> None:
        length, header = self._epoch_blocks, proposal.header
        assert not header.seal, "S7: a seal was committed"
        epoch = place // length if length else 0
        assert header.epoch == epoch, "S7: a block in a wrong epoch"
        is_last = bool(length) and (place + 1) % length == 0
        assert is_epoch_end(header) == is_last, "S7: the epoch ends at another block"


def _check_valid(proposal: Proposal) -> None:
    transactions = proposal.block.transactions
    assert not any(t.startswith(BAD) for t in transactions), "S8: an invalid block is final"


def _check_proof(proposal: Proposal, proof: FinalityProof) -> None:
    certified = header_hash(proof.headers[-1]) if proof.headers else proposal.hash
    certificate = proof.certificate
    assert certificate.kind is VoteKind.FINALIZE, "S8: proven by another kind of certificate"
    assert certificate.block_hash == certified, "S8: proven by another block's certificate"
