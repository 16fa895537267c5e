"""Votes of this node's own seat: those that the SmartAgent gives, and those that peers show us.

Rule: `sign` belongs to the chain's thread, since the signer's socket blocks; the rest to the event loop's.
"""

import logging
from collections import deque

from ledger.consensus.certificate import extract_vote, verify_vote
from ledger.consensus.effects import SignVote
from ledger.consensus.epoch import Epoch
from ledger.consensus.inputs import SignaturesVerified, SignerUnavailable, VoteRefused, VoteSigned
from ledger.errors import SignerError, VoteRefusedError
from ledger.node.parts import Parts
from ledger.types.block import Vote

OWN_VOTES_MAX = 64 * 3  # of the open slots

_log = logging.getLogger(__name__)


class OwnVotes:
    """Has votes signed, and tells of genuine ones that were not signed since the process started."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._is_signer_lost = False
        # The newest ones that are accounted for: peers pass them on all the time.
        self._signatures: deque[bytes] = deque(maxlen=OWN_VOTES_MAX)

    def sign(self, effect: SignVote, epoch: Epoch) -> VoteSigned | VoteRefused | SignerUnavailable:
        """Return the SmartAgent's answer; raises `SignerError` where its vote is worth nothing here."""
        subject = (effect.kind, effect.epoch, effect.slot, effect.block_hash)
        try:
            signature = self._parts.signer.sign_vote(*subject)
        except VoteRefusedError as error:
            _log.warning("slot %d: %s vote refused: %s", effect.slot, effect.kind.name, error)
            return VoteRefused(effect.kind, effect.slot, str(error))
        except SignerError as error:
            self.note_lost_signer(error)
            return SignerUnavailable(*subject)
        if self._is_signer_lost:
            _log.info("the SmartAgent signs again")
            self._is_signer_lost = False
        assert epoch.our_seat is not None, "only a member of the set votes"
        vote = Vote(*subject, voter=epoch.our_seat, signature=signature)
        refusal = verify_vote(vote, self._parts.chain.chain_id, epoch.keys)
        if refusal is not None:
            raise SignerError(f"the SmartAgent's vote is not valid on this chain: {refusal}")
        self._signatures.append(vote.signature)
        return VoteSigned(vote)

    def note_lost_signer(self, error: SignerError) -> None:
        """Say once that the SmartAgent does not answer."""
        if not self._is_signer_lost:
            _log.warning("waiting for the SmartAgent: %s", error)
        self._is_signer_lost = True

    def look_for_own(self, seat: int | None, genuine: SignaturesVerified) -> None:
        """Tell, once each, of our seat's votes that this process did not have signed."""
        for vote in _votes_of(seat, genuine):
            if vote.signature not in self._signatures:
                self._signatures.append(vote.signature)
                self._parts.on_own_vote(vote)


def _votes_of(seat: int | None, genuine: SignaturesVerified) -> list[Vote]:
    """Return a seat's votes, those inside certificates too: a restored node hears of its past from these."""
    if seat is None:
        return []
    certified = (extract_vote(certificate, seat) for certificate in genuine.certificates)
    return [
        *(vote for vote in genuine.votes if vote.voter == seat),
        *(vote for vote in certified if vote is not None),
    ]
