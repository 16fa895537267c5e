"""Votes to notarize, to finalize and to skip, for whatever it sees, to whoever it likes."""

from ledger.crypto.domains import NO_HASH, VoteKind
from ledger.types.messages import Message, Propose, VoteMessage
from tests.simulation.adversaries.base import Adversary


class VoteEverything(Adversary):
    def deliver(self, peer: bytes, message: Message) -> None:
        super().deliver(peer, message)
        if not isinstance(message, Propose) or not self.is_member():
            return
        vote = message.vote
        for kind, block_hash in (
            (VoteKind.NOTARIZE, vote.block_hash),
            (VoteKind.FINALIZE, vote.block_hash),
            (VoteKind.NULLIFY, NO_HASH),
        ):
            if self.random.random() < 0.8:
                ours = self.sign(kind, vote.epoch, vote.slot, block_hash)
                self.scatter(VoteMessage(ours), 0.6)
