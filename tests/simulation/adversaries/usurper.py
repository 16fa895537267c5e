"""Proposes in slots that others lead, in their name, and answers laggards with a chain it made up."""

from random import Random

from gateway.lab.cluster import Cluster
from ledger.consensus.blocks import NO_SIGNERS, is_epoch_end
from ledger.consensus.certificate import encode_signers
from ledger.consensus.effects import BuildBlock
from ledger.consensus.epoch import Tip
from ledger.consensus.parents import find_parent, get_parent_proof, get_skipped
from ledger.crypto.domains import VoteKind
from ledger.types.block import Certificate, FinalityProof
from ledger.types.messages import ChainMessage, GetChain, Message, Propose
from tests.simulation.adversaries.base import Adversary, find_state_root


class Usurper(Adversary):
    def __init__(self, cluster: Cluster, index: int, random: Random) -> None:
        super().__init__(cluster, index, random)
        self._usurped: set[tuple[int, int]] = set()

    def deliver(self, peer: bytes, message: Message) -> None:
        if isinstance(message, GetChain):
            self._invent_chain(peer, message.height)
            return
        super().deliver(peer, message)
        if self.is_member():
            self._usurp()

    def _usurp(self) -> None:
        core, state = self.core, self.core.machine.state
        place = (state.epoch.number, state.slot)
        parent = find_parent(state) if state.slot > 0 else None
        if place in self._usurped or parent is None:
            return
        root = find_state_root(core, parent.tip.hash)
        if root is None or is_sealing(parent.proposal):
            return
        self._usurped.add(place)
        proof = get_parent_proof(state, parent.tip)
        signers = NO_SIGNERS if proof is None else proof.signers
        time_ms = max(parent.tip.time_ms + self.cluster.world.rules.slot_ms, core.now().wall_ms)
        wanted = BuildBlock(state.epoch, state.slot, parent.tip, signers, time_ms)
        block = self.cluster.world.application.build(wanted, root, (b"usurped",))
        vote = self.sign(VoteKind.NOTARIZE, *place, block.hash)
        skipped = get_skipped(state, parent.tip.slot, state.slot)
        certificates = skipped if proof is None else (proof, *skipped)
        self.scatter(Propose(block.block, vote, certificates), 0.8)

    def _invent_chain(self, peer: bytes, height: int) -> None:
        chain, genesis = self.core.disk.chain, self.cluster.world.genesis
        if not 0 < height <= len(chain) or is_epoch_end(chain[height - 1].proposal.header):
            return
        above = chain[height - 1].proposal
        header = above.header
        root = self.core.epoch.root if header.epoch == self.core.epoch.number else genesis
        epoch = self.cluster.world.application.open_epoch(header.epoch, root, self.name)
        tip = Tip(header.height, header.slot, above.hash, header.time_ms)
        slot_ms = self.cluster.world.rules.slot_ms
        wanted = BuildBlock(epoch, header.slot + 1, tip, NO_SIGNERS, header.time_ms + slot_ms)
        block = self.cluster.world.application.build(wanted, header.state_root, (b"invented",))
        everybody = range(epoch.size)
        forged = Certificate(
            VoteKind.FINALIZE,
            header.epoch,
            header.slot + 1,
            block.hash,
            encode_signers(everybody),
            tuple(bytes(64) for _ in everybody),
        )
        piece = ChainMessage(header.epoch, (block.block,), FinalityProof((), forged))
        self.cluster.network.send(self.name, (peer,), piece)


def is_sealing(proposal) -> bool:
    return proposal is not None and (proposal.header.seal or is_epoch_end(proposal.header))
