"""Listening for a lap, and telling our own votes from a stranger's."""

import pytest

from gateway.smart_agent.judge import FIRST_RECORD, SignRecord, VoteRequest
from gateway.smart_agent.vote_watch import (
    VOTES_REMEMBERED_MAX,
    Listening,
    TipReport,
    VoteMemory,
)
from ledger.crypto.domains import NO_HASH, VoteKind

A, B = b"a" * 32, b"b" * 32
SECOND = 1_000_000_000


def vote(slot, block_hash=A, kind=VoteKind.NOTARIZE, epoch=0):
    return VoteRequest(kind, epoch, slot, block_hash)


def test_nothing_is_voted_before_the_ledger_spoke():
    assert "has not said yet" in (Listening(3_000).why_not() or "")


def test_with_one_agent_the_tip_is_enough():
    listening = Listening(3_000)
    listening.report(TipReport(is_at_tip=False, agents=1), 0)
    assert listening.why_not()

    listening.report(TipReport(is_at_tip=True, agents=1), 1)
    assert listening.why_not() is None


@pytest.mark.parametrize(("agents", "lap_s"), [(4, 12), (99, 297)])
def test_with_many_agents_a_whole_lap_is_listened_to_counted_from_the_first_report(agents, lap_s):
    listening, start = Listening(3_000), 1_000 * SECOND

    listening.report(TipReport(is_at_tip=True, agents=agents), start)
    listening.report(TipReport(is_at_tip=True, agents=agents), start + lap_s * SECOND - 1)
    assert listening.why_not()

    listening.report(TipReport(is_at_tip=True, agents=agents), start + lap_s * SECOND)
    assert listening.why_not() is None


def test_a_ledger_that_is_behind_after_a_lap_is_waited_for():
    listening = Listening(3_000)
    for second in range(0, 100, 10):
        listening.report(TipReport(is_at_tip=False, agents=4), second * SECOND)
    assert listening.why_not()

    listening.report(TipReport(is_at_tip=True, agents=4), 100 * SECOND)
    assert listening.why_not() is None

    listening.report(TipReport(is_at_tip=False, agents=4), 101 * SECOND)
    assert listening.why_not() is None, "this process has heard every vote since"


def test_votes_of_the_record_and_votes_given_since_are_ours():
    memory = VoteMemory(SignRecord(0, 5, notarized=A, nullified=True))
    memory.remember(vote(6))

    assert memory.is_ours(vote(5))
    assert memory.is_ours(vote(5, NO_HASH, VoteKind.NULLIFY))
    assert memory.is_ours(vote(6))


@pytest.mark.parametrize(
    "strange",
    [
        vote(5, B),
        vote(5, A, VoteKind.FINALIZE),
        vote(6, B),
        vote(6, NO_HASH, VoteKind.NULLIFY),
        vote(7),
        vote(1, epoch=1),
    ],
)
def test_any_other_vote_from_the_record_on_is_a_strangers(strange):
    memory = VoteMemory(SignRecord(0, 5, notarized=A, nullified=True))
    memory.remember(vote(6))

    assert not memory.is_ours(strange)


def test_what_was_before_the_start_cannot_be_told():
    assert VoteMemory(SignRecord(1, 5)).is_ours(vote(900))
    assert not VoteMemory(FIRST_RECORD).is_ours(vote(0, A, VoteKind.FINALIZE))


def test_the_memory_is_bounded_and_forgets_whole_slots():
    memory = VoteMemory(FIRST_RECORD)
    for slot in range(VOTES_REMEMBERED_MAX + 10):
        memory.remember(vote(slot))

    assert len(memory._votes) == VOTES_REMEMBERED_MAX
    assert memory.is_ours(vote(9, B)), "forgotten, so nothing is claimed about it"
    assert not memory.is_ours(vote(10, B))
