"""Sends votes for made-up blocks: many of one slot, now, at the end of the window and far beyond."""

from ledger.consensus.state import WINDOW
from ledger.crypto.domains import VoteKind
from ledger.crypto.hashing import sha256
from ledger.types.block import Vote
from ledger.types.messages import Message, VoteSet
from tests.simulation.adversaries.base import Adversary

VOTES = 40


class Flooder(Adversary):
    def deliver(self, peer: bytes, message: Message) -> None:
        super().deliver(peer, message)
        if self.random.random() < 0.02 and self.is_member():
            ahead = self.random.choice((0, 1, WINDOW, WINDOW + 1, 10 * WINDOW))
            self.scatter(VoteSet(tuple(self._make_vote(ahead) for _ in range(VOTES))), 0.5)

    def _make_vote(self, ahead: int) -> Vote:
        state = self.core.machine.state
        slot = state.slot + ahead
        block_hash = sha256(self.random.randbytes(8))
        kind = self.random.choice((VoteKind.NOTARIZE, VoteKind.FINALIZE))
        return self.sign(kind, state.epoch.number, slot, block_hash)
