"""Extends the grandparent as if the parent's slot had been skipped, with every certificate but that one.

It hurries: its block goes out as soon as its slot begins, while votes to finalize the parent are on
their way.
"""

from random import Random

from gateway.lab.cluster import Cluster
from gateway.lab.node import Outgoing
from ledger.consensus.blocks import NO_SIGNERS
from ledger.consensus.effects import BuildBlock
from ledger.consensus.parents import get_parent
from ledger.crypto.domains import VoteKind
from ledger.types.block import Vote
from ledger.types.messages import Message, Propose
from tests.simulation.adversaries.base import Adversary, find_proof, find_state_root, get_proposal


class Skipper(Adversary):
    def __init__(self, cluster: Cluster, index: int, random: Random) -> None:
        super().__init__(cluster, index, random)
        self._skipped: set[tuple[int, int]] = set()

    def deliver(self, peer: bytes, message: Message) -> None:
        super().deliver(peer, message)
        state = self.core.machine.state
        place = (state.epoch.number, state.slot)
        if state.slot < 2 or place in self._skipped or not self.is_member():
            return
        if state.epoch.leader(state.slot) == state.epoch.our_seat:
            self._skip(place)

    def on_send(self, source: bytes, outgoing: Outgoing) -> None:
        message = get_proposal(outgoing)
        vote = None if message is None else message.vote
        if vote is None or not self._has_skipped(vote):
            self.cluster.route(source, outgoing)

    def _has_skipped(self, vote: Vote) -> bool:
        return (vote.epoch, vote.slot) in self._skipped

    def _skip(self, place: tuple[int, int]) -> None:
        core, state = self.core, self.core.machine.state
        certificate = state.certificates.for_block(state.slot - 1)
        passed_over = None if certificate is None else state.blocks.get(certificate.block_hash)
        if passed_over is None:
            return
        grandparent = get_parent(state, passed_over.header.parent_hash)
        root = None if grandparent is None else find_state_root(core, grandparent.tip.hash)
        if grandparent is None or root is None:
            return
        proof = find_proof(core, grandparent.tip.slot, grandparent.tip.hash)
        signers = NO_SIGNERS if proof is None else proof.signers
        rules = self.cluster.world.rules
        time_ms = max(grandparent.tip.time_ms + rules.slot_ms, core.now().wall_ms)
        wanted = BuildBlock(state.epoch, state.slot, grandparent.tip, signers, time_ms)
        block = self.cluster.world.application.build(wanted, root, (b"skip",))
        self._skipped.add(place)
        vote = self.sign(VoteKind.NOTARIZE, *place, block.hash)
        certificates = () if proof is None else (proof,)
        self.scatter(Propose(block.block, vote, certificates), 1.0)
