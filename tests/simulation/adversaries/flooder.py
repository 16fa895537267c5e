"""Sends votes for made-up blocks in every slot of the window, and proposals for all of its own slots."""

from ledger.consensus.state import WINDOW
from ledger.crypto.domains import VoteKind
from ledger.crypto.hashing import sha256
from ledger.types.messages import Message, VoteSet
from tests.simulation.adversaries.base import Adversary

VOTES = 40


class Flooder(Adversary):
    def deliver(self, peer: bytes, message: Message) -> None:
        super().deliver(peer, message)
        if self.random.random() < 0.02 and self.is_member():
            self.scatter(VoteSet(tuple(self._make_vote() for _ in range(VOTES))), 0.5)

    def _make_vote(self):
        state = self.core.machine.state
        slot = max(1, state.slot + self.random.randint(-3, WINDOW + 2))
        block_hash = sha256(self.random.randbytes(8))
        kind = self.random.choice((VoteKind.NOTARIZE, VoteKind.FINALIZE))
        return self.sign(kind, state.epoch.number, slot, block_hash)
