"""S2, S3, S4, S10: over every signature that was ever made in a run, whether it arrived or not."""

from collections import defaultdict

from gateway.lab.cluster import Cluster
from gateway.lab.node import LabNode
from gateway.smart_agent.judge import SignRecord
from ledger.consensus.blocks import Proposal
from ledger.consensus.certificate import compute_quorum, decode_signers
from ledger.crypto.domains import VoteKind
from ledger.types.block import FinalityProof, Vote

Subject = tuple[VoteKind, bytes]


class VoteChecker:
    """Keeps who signed what in each slot of each epoch."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._signed: dict[tuple[int, int], dict[Subject, set[bytes]]] = defaultdict(
            lambda: defaultdict(set)
        )
        self._quorums: dict[int, int] = {}

        self.guarded: set[bytes] = set()  # others whose guard is in good hands

    def on_vote(self, node: LabNode, vote: Vote) -> None:
        self._quorums[vote.epoch] = compute_quorum(node.epoch.size)
        subjects = self._signed[vote.epoch, vote.slot]
        subjects[vote.kind, vote.block_hash].add(node.name)
        if node in self._cluster.nodes.values():
            _check_durable(node, vote)

    def on_commit(self, node: LabNode, proposal: Proposal, proof: FinalityProof | None) -> None:
        """S8: a block is by its proposer. S9: whom it names as its parent's signers did sign."""
        header = proposal.header
        if node not in self._cluster.nodes.values():
            return
        signed = self._signed[header.epoch, header.slot][VoteKind.NOTARIZE, proposal.hash]
        assert header.proposer in signed, "S8: a block is final that its proposer never signed"
        if header.parent_slot == 0:
            return
        subjects = self._signed[header.epoch, header.parent_slot]
        notarized = subjects[VoteKind.NOTARIZE, header.parent_hash]
        final = subjects[VoteKind.FINALIZE, header.parent_hash]
        named = {node.epoch.nodes[seat] for seat in decode_signers(header.parent_signers)}
        assert named <= notarized | final, "S9: a block names signers of its parent who are none"
        assert len(named) >= node.epoch.quorum, "S9: a block names too few signers of its parent"

    def on_evidence(self, node: LabNode, first: Vote, second: Vote) -> None:
        pass

    def check_end(self) -> None:
        guarded = {node.name for node in self._cluster.nodes.values()} | self.guarded
        for place, subjects in self._signed.items():
            quorum = self._quorums[place[0]]
            certified = {s for s, voters in subjects.items() if len(voters) >= quorum}
            _check_certificates(place, certified)
            for name in guarded:
                _check_honest(place, [s for s, voters in subjects.items() if name in voters])


def _check_certificates(place: tuple[int, int], certified: set[Subject]) -> None:
    notarized = {h for kind, h in certified if kind is VoteKind.NOTARIZE}
    final = {h for kind, h in certified if kind is VoteKind.FINALIZE}
    is_skipped = any(kind is VoteKind.NULLIFY for kind, _ in certified)
    assert len(notarized) <= 1, f"S2: two blocks notarized in {place}"
    assert not (final and is_skipped), f"S3: {place} is both final and skipped"
    assert len(final | notarized) <= 1 or not final, f"S3: another block is final in {place}"


def _check_honest(place: tuple[int, int], subjects: list[Subject]) -> None:
    notarized = [h for kind, h in subjects if kind is VoteKind.NOTARIZE]
    final = [h for kind, h in subjects if kind is VoteKind.FINALIZE]
    is_skipping = any(kind is VoteKind.NULLIFY for kind, _ in subjects)
    is_sound = len(notarized) <= 1 and len(final) <= 1 and not (is_skipping and final)
    assert is_sound, f"S4: an agent with a guard contradicted itself in {place}"


def _check_durable(node: LabNode, vote: Vote) -> None:
    """S10: at the moment of the signature its record, and what it rests on, are on the disk."""
    disk, record = node.disk, node.disk.guard_record
    assert (record.epoch, record.slot) == (vote.epoch, vote.slot), "S10: no record of the slot"
    assert _has(record, vote), "S10: the vote is not on record"
    if vote.kind is VoteKind.NOTARIZE:
        assert vote.block_hash in disk.blocks, "S10: the block is not in the log"
    if vote.kind is VoteKind.FINALIZE:
        certified = [(c.kind, c.block_hash) for c in disk.certificates]
        is_logged = (VoteKind.NOTARIZE, vote.block_hash) in certified
        assert is_logged, "S10: the notarization is not in the log"


def _has(record: SignRecord, vote: Vote) -> bool:
    match vote.kind:
        case VoteKind.NOTARIZE:
            return record.notarized == vote.block_hash
        case VoteKind.NULLIFY:
            return record.nullified
        case VoteKind.FINALIZE:
            return record.finalized == vote.block_hash
