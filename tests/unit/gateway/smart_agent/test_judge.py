"""The rule against an independent statement of it: no two admitted votes may conflict."""

import itertools
from dataclasses import replace

import pytest

from gateway.smart_agent.judge import (
    EPOCH_MAX,
    FIRST_RECORD,
    SLOT_MAX,
    GuardRefusal,
    SignRecord,
    VoteRequest,
    judge,
)
from ledger.crypto.domains import NO_HASH, VoteKind

PLACES = [(0, 1), (0, 2), (1, 1)]
HASHES = [bytes([number]) * 32 for number in (1, 2, 3)]
VOTES = [
    VoteRequest(kind, epoch, slot, block_hash)
    for (epoch, slot), kind in itertools.product(PLACES, VoteKind)
    for block_hash in ([NO_HASH] if kind is VoteKind.NULLIFY else HASHES)
]
RECORDS = [
    SignRecord(epoch, slot, notarized, nullified, finalized)
    for (epoch, slot), notarized, nullified, finalized in itertools.product(
        PLACES, [None, *HASHES], [False, True], [None, *HASHES]
    )
]


def place(of):
    return (of.epoch, of.slot)


def are_conflicting(one, other):
    """Slashable pairs: two notarisations, two finalisations, or a nullification and a finalisation."""
    if place(one) != place(other):
        return False
    if one.kind is other.kind:
        return one.block_hash != other.block_hash
    return {one.kind, other.kind} == {VoteKind.NULLIFY, VoteKind.FINALIZE}


def votes_of(record):
    """The record as the set of votes it stands for."""
    votes = set()
    if record.notarized:
        votes.add(VoteRequest(VoteKind.NOTARIZE, record.epoch, record.slot, record.notarized))
    if record.nullified:
        votes.add(VoteRequest(VoteKind.NULLIFY, record.epoch, record.slot, NO_HASH))
    if record.finalized:
        votes.add(VoteRequest(VoteKind.FINALIZE, record.epoch, record.slot, record.finalized))
    return votes


def test_every_pair_of_record_and_vote_is_judged_as_the_model_says():
    for record, vote in itertools.product(RECORDS, VOTES):
        verdict = judge(record, vote)

        signed = votes_of(record)
        is_late = place(vote) < place(record)
        if is_late or any(are_conflicting(vote, earlier) for earlier in signed):
            assert isinstance(verdict, GuardRefusal), (record, vote)
        else:
            kept = signed if place(vote) == place(record) else set()
            assert isinstance(verdict, SignRecord), (record, vote)
            assert place(verdict) == place(vote)
            assert votes_of(verdict) == kept | {vote}
    assert len(RECORDS) * len(VOTES) == 96 * 21


def test_no_sequence_of_requests_gets_two_conflicting_votes():
    votes = [vote for vote in VOTES if vote.block_hash != HASHES[2] and vote.epoch == 0]
    assert len(votes) == 10

    for sequence in itertools.product(votes, repeat=4):
        record, admitted = FIRST_RECORD, []
        for vote in sequence:
            verdict = judge(record, vote)
            if isinstance(verdict, SignRecord):
                record = verdict
                admitted.append(vote)
        assert not any(are_conflicting(*pair) for pair in itertools.combinations(admitted, 2))


def test_the_same_vote_again_is_admitted_and_changes_nothing():
    for vote in VOTES:
        record = judge(FIRST_RECORD, vote)
        assert isinstance(record, SignRecord)
        assert judge(record, vote) == record


@pytest.mark.parametrize(
    ("record", "vote", "refusal"),
    [
        (
            SignRecord(0, 2),
            VoteRequest(VoteKind.NULLIFY, 0, 1, NO_HASH),
            GuardRefusal.PAST_SLOT,
        ),
        (
            SignRecord(1, 1),
            VoteRequest(VoteKind.NULLIFY, 0, 9, NO_HASH),
            GuardRefusal.PAST_SLOT,
        ),
        (
            SignRecord(0, 1, notarized=HASHES[0]),
            VoteRequest(VoteKind.NOTARIZE, 0, 1, HASHES[1]),
            GuardRefusal.OTHER_NOTARIZED,
        ),
        (
            SignRecord(0, 1, finalized=HASHES[0]),
            VoteRequest(VoteKind.NULLIFY, 0, 1, NO_HASH),
            GuardRefusal.FINALIZED,
        ),
        (
            SignRecord(0, 1, nullified=True),
            VoteRequest(VoteKind.FINALIZE, 0, 1, HASHES[0]),
            GuardRefusal.NULLIFIED,
        ),
        (
            SignRecord(0, 1, finalized=HASHES[0]),
            VoteRequest(VoteKind.FINALIZE, 0, 1, HASHES[1]),
            GuardRefusal.OTHER_FINALIZED,
        ),
    ],
)
def test_each_refusal_has_its_reason(record, vote, refusal):
    assert judge(record, vote) is refusal


GOOD = VoteRequest(VoteKind.NOTARIZE, 0, 1, HASHES[0])


@pytest.mark.parametrize(
    "vote",
    [
        replace(GOOD, epoch=-1),
        replace(GOOD, epoch=EPOCH_MAX + 1),
        replace(GOOD, slot=-1),
        replace(GOOD, slot=SLOT_MAX + 1),
        replace(GOOD, block_hash=NO_HASH),
        replace(GOOD, block_hash=HASHES[0][:31]),
        replace(GOOD, kind=VoteKind.FINALIZE, block_hash=NO_HASH),
        replace(GOOD, kind=VoteKind.NULLIFY),
    ],
)
def test_a_vote_that_does_not_fit_its_kind_is_malformed(vote):
    assert judge(FIRST_RECORD, GOOD) == SignRecord(0, 1, notarized=HASHES[0])
    assert judge(FIRST_RECORD, vote) is GuardRefusal.MALFORMED
