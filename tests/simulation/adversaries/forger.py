"""Makes up votes of others and certificates nobody signed, for a block of its own and for skipping."""

import msgspec

from ledger.consensus.certificate import build_certificate
from ledger.consensus.epoch import Epoch
from ledger.crypto.domains import NO_HASH, VoteKind
from ledger.crypto.hashing import sha256
from ledger.types.block import Certificate, Vote
from ledger.types.messages import CertificateMessage, Message, Propose, VoteSet
from tests.simulation.adversaries.base import Adversary


class Forger(Adversary):
    def deliver(self, peer: bytes, message: Message) -> None:
        super().deliver(peer, message)
        if not isinstance(message, Propose) or not self.is_member():
            return
        vote = message.vote
        kind = self.random.choice(tuple(VoteKind))
        block_hash = vote.block_hash if self.random.random() < 0.5 else sha256(vote.block_hash)
        if kind is VoteKind.NULLIFY:
            block_hash = NO_HASH
        forged = self._forge(self.core.epoch, kind, vote.slot, block_hash)
        self.scatter(VoteSet(forged), 0.6)
        self.scatter(CertificateMessage(build_certificate(forged)), 0.4)
        self.scatter(CertificateMessage(self._sign_alone(kind, vote, block_hash)), 0.4)

    def _forge(
        self, epoch: Epoch, kind: VoteKind, slot: int, block_hash: bytes
    ) -> tuple[Vote, ...]:
        ours = self.sign(kind, epoch.number, slot, block_hash)
        return tuple(msgspec.structs.replace(ours, voter=seat) for seat in range(epoch.size))

    def _sign_alone(self, kind: VoteKind, vote: Vote, block_hash: bytes) -> Certificate:
        """A certificate with a genuine signature, but one only."""
        return build_certificate([self.sign(kind, vote.epoch, vote.slot, block_hash)])
