"""Extends the grandparent as if the parent's slot had been skipped, with every certificate but that one."""

from gateway.lab.application import execute
from gateway.lab.node import Outgoing
from ledger.consensus.blocks import open_block
from ledger.crypto.domains import VoteKind
from ledger.errors import Rejected
from ledger.types.messages import Propose
from tests.simulation.adversaries.base import (
    Adversary,
    find_block,
    find_proof,
    find_state_root,
    get_proposal,
    vary,
)


class Skipper(Adversary):
    def on_send(self, source: bytes, outgoing: Outgoing) -> None:
        message = get_proposal(outgoing)
        skipping = None if message is None else self._skip(message)
        if skipping is None:
            self.cluster.route(source, outgoing)
        else:
            self.scatter(skipping, 1.0)

    def _skip(self, message: Propose) -> Propose | None:
        own = open_block(message.block, self.cluster.world.rules.chain_id)
        assert not isinstance(own, Rejected)
        stored = find_block(self.core, own.header.parent_hash)
        if stored is None or stored.header.epoch != own.header.epoch or own.header.seal:
            return None
        parent = stored.header
        root = find_state_root(self.core, parent.parent_hash)
        if root is None:
            return None
        proof = find_proof(self.core, parent.parent_slot, parent.parent_hash)
        transactions = (b"skip",)
        block = vary(
            own,
            transactions,
            height=parent.height,
            parent_slot=parent.parent_slot,
            parent_hash=parent.parent_hash,
            parent_signers=parent.parent_signers if proof is None else proof.signers,
            state_root=execute(root, transactions),
            next_set_hash=parent.next_set_hash,
        )
        vote = self.sign(VoteKind.NOTARIZE, block.header.epoch, block.header.slot, block.hash)
        certificates = message.certificates if proof is None else (proof, *message.certificates)
        return Propose(block.block, vote, certificates)
