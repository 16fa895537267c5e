"""Proposes two or three blocks a slot, some invalid, some on the grandparent, and votes for all it sees."""

from gateway.lab.application import BAD, execute
from gateway.lab.node import Outgoing
from ledger.consensus.blocks import Proposal, open_block
from ledger.consensus.certificate import encode_signers
from ledger.crypto.domains import VoteKind
from ledger.errors import Rejected
from ledger.types.messages import Message, Propose, VoteMessage
from tests.simulation.adversaries.base import Adversary, find_state_root, get_proposal, vary


class Equivocator(Adversary):
    def deliver(self, peer: bytes, message: Message) -> None:
        super().deliver(peer, message)
        if isinstance(message, Propose) and self.is_member() and self.random.random() < 0.8:
            vote = message.vote
            ours = self.sign(VoteKind.NOTARIZE, vote.epoch, vote.slot, vote.block_hash)
            self.scatter(VoteMessage(ours), 1.0)

    def on_send(self, source: bytes, outgoing: Outgoing) -> None:
        message = get_proposal(outgoing)
        if message is None:
            self.cluster.route(source, outgoing)
            return
        own = open_block(message.block, self.cluster.world.rules.chain_id)
        assert not isinstance(own, Rejected)
        blocks = [own, *self._make_others(own)]
        for target in self.cluster.others(self.name):
            for block in self.random.sample(blocks, self.random.randint(1, len(blocks))):
                header = block.header
                vote = self.sign(VoteKind.NOTARIZE, header.epoch, header.slot, block.hash)
                proposal = Propose(block.block, vote, message.certificates)
                self.cluster.network.send(self.name, (target,), proposal)

    def _make_others(self, own: Proposal) -> list[Proposal]:
        random, header = self.random, own.header
        if header.seal:
            return [vary(own, (), time_ms=header.time_ms + 1)]
        others = [vary(own, (b"other%d" % n,)) for n in range(random.choice((1, 1, 2)))]
        others = [self._execute(block) for block in others]
        if random.random() < 0.3:
            others.append(self._execute(vary(own, (BAD,))))
        if random.random() < 0.3:
            others.append(vary(own, own.block.transactions, state_root=own.hash))
        if random.random() < 0.3:
            everybody = encode_signers(range(self.core.epoch.size))
            others.append(vary(own, own.block.transactions, parent_signers=everybody))
        below = self.core.machine.state.blocks.get(header.parent_hash)
        if below is not None and random.random() < 0.5:
            lower = below.header
            others.append(
                vary(
                    own,
                    own.block.transactions,
                    height=lower.height,
                    parent_slot=lower.parent_slot,
                    parent_hash=lower.parent_hash,
                )
            )
        return others

    def _execute(self, block: Proposal) -> Proposal:
        """Give a variant the state root that its transactions lead to."""
        root = find_state_root(self.core, block.header.parent_hash)
        if root is None:
            return block
        transactions = block.block.transactions
        return vary(block, transactions, state_root=execute(root, transactions))
