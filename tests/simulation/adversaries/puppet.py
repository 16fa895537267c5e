"""A node whose ledger process is in strange hands while its guard is not: it asks for every vote there is.

What the guard signs goes out. Its agent must stay as innocent as an honest one (S4).
"""

from ledger.consensus.effects import SignVote
from ledger.consensus.inputs import VoteSigned
from ledger.crypto.domains import NO_HASH, VoteKind
from ledger.crypto.hashing import sha256
from ledger.types.messages import Message, Propose, VoteMessage
from tests.simulation.adversaries.base import Adversary

ASKED = 4  # votes for each proposal that it hears


class Puppet(Adversary):
    is_guarded = True

    def deliver(self, peer: bytes, message: Message) -> None:
        super().deliver(peer, message)
        if isinstance(message, Propose) and self.is_member():
            for _ in range(ASKED):
                self._ask(message)

    def _ask(self, message: Propose) -> None:
        random, vote = self.random, message.vote
        kind = random.choice(tuple(VoteKind))
        slot = max(1, vote.slot - random.choice((0, 0, 0, 1)))
        hashes = (vote.block_hash, sha256(vote.block_hash))
        block_hash = NO_HASH if kind is VoteKind.NULLIFY else random.choice(hashes)
        answer = self.core._sign(SignVote(kind, self.core.epoch.number, slot, block_hash))
        if isinstance(answer, VoteSigned):
            self.scatter(VoteMessage(answer.vote), 0.8)
