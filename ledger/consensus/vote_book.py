"""Every verified vote of the open slots, by what it is for and by who gave it.

Rule 1: a voter has at most `VOTES_PER_SLOT_MAX` votes in a slot: what is above proves nothing new (S11).
Rule 2: two votes that contradict each other are found here, when the second comes (1.7).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ledger.consensus.certificate import build_certificate, decode_signers
from ledger.crypto.domains import VoteKind
from ledger.types.block import Certificate, Vote

VOTES_PER_SLOT_MAX = 4  # N, X, F and one that contradicts them

Subject = tuple[VoteKind, bytes]


@dataclass(slots=True)
class _SlotVotes:
    by_subject: dict[Subject, dict[int, Vote]] = field(default_factory=dict)
    by_voter: dict[int, list[Vote]] = field(default_factory=dict)


def are_contradictory(first: Vote, second: Vote) -> bool:
    """Tell whether one agent's two votes of one slot convict it (1.7): N/N', F/F' or X/F."""
    if first.kind is second.kind:
        return first.block_hash != second.block_hash
    return {first.kind, second.kind} == {VoteKind.NULLIFY, VoteKind.FINALIZE}


class VoteBook:
    """Votes of one epoch."""

    __slots__ = ("_slots",)

    def __init__(self) -> None:
        self._slots: dict[int, _SlotVotes] = {}

    def __len__(self) -> int:
        return sum(len(v) for slot in self._slots.values() for v in slot.by_voter.values())

    def knows(self, vote: Vote) -> bool:
        """Tell whether this vote is here, or its voter has no room for it."""
        slot = self._slots.get(vote.slot)
        if slot is None:
            return False
        given = slot.by_voter.get(vote.voter)
        if given is None:
            return False
        return len(given) >= VOTES_PER_SLOT_MAX or vote.voter in slot.by_subject.get(
            (vote.kind, vote.block_hash), ()
        )

    def add(self, vote: Vote) -> Vote | None:
        """Take a verified vote that `knows` denies; return one that it contradicts, if any."""
        assert not self.knows(vote), "counted twice"
        slot = self._slots.get(vote.slot)
        if slot is None:
            slot = self._slots[vote.slot] = _SlotVotes()
        given = slot.by_voter.setdefault(vote.voter, [])
        slot.by_subject.setdefault((vote.kind, vote.block_hash), {})[vote.voter] = vote
        against = next((other for other in given if are_contradictory(other, vote)), None)
        given.append(vote)
        return against

    def count(self, slot: int, kind: VoteKind, block_hash: bytes) -> int:
        """Return how many agents gave this vote."""
        votes = self._slots.get(slot)
        return 0 if votes is None else len(votes.by_subject.get((kind, block_hash), ()))

    def has(self, slot: int, kind: VoteKind, block_hash: bytes, voter: int) -> bool:
        """Tell whether this agent gave this vote."""
        votes = self._slots.get(slot)
        return votes is not None and voter in votes.by_subject.get((kind, block_hash), ())

    def certify(self, slot: int, kind: VoteKind, block_hash: bytes) -> Certificate:
        """Return the certificate of every vote there is for this."""
        return build_certificate(list(self._slots[slot].by_subject[kind, block_hash].values()))

    def covers(self, certificate: Certificate) -> bool:
        """Tell whether every signature of a certificate is that of a vote in here."""
        slot = self._slots.get(certificate.slot)
        if slot is None:
            return False
        votes = slot.by_subject.get((certificate.kind, certificate.block_hash))
        signers = decode_signers(certificate.signers)
        if votes is None or len(signers) != len(certificate.signatures):
            return False
        for voter, signature in zip(signers, certificate.signatures, strict=True):
            vote = votes.get(voter)
            if vote is None or vote.signature != signature:
                return False
        return True

    def votes(self, slot: int, kinds: Sequence[VoteKind]) -> list[Vote]:
        """Return one vote of each of these kinds by each agent, in the order of agents."""
        votes = self._slots.get(slot)
        if votes is None:
            return []
        found: list[Vote] = []
        for voter in sorted(votes.by_voter):
            given = votes.by_voter[voter]
            for kind in kinds:
                found.extend([vote for vote in given if vote.kind is kind][:1])
        return found

    def forget_below(self, slot: int) -> None:
        """Drop the votes of every slot before this one."""
        for old in [number for number in self._slots if number < slot]:
            del self._slots[old]
