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
NEVER_ENDING = 10**9 * SECOND  # the wait after a start is ended by reports alone


def vote(slot, block_hash=A, kind=VoteKind.NOTARIZE, epoch=0):
    return VoteRequest(kind, epoch, slot, block_hash)


def test_nothing_is_voted_before_the_ledger_spoke():
    assert "has not said yet" in (Listening(3_000).why_not(0) or "")


def test_with_one_agent_the_tip_is_enough():
    listening = Listening(3_000)
    listening.report(TipReport(is_at_tip=False, agents=1), 0)
    assert listening.why_not(NEVER_ENDING)

    listening.report(TipReport(is_at_tip=True, agents=1), 1)
    assert listening.why_not(NEVER_ENDING) is None


@pytest.mark.parametrize(("agents", "lap_s"), [(4, 12), (99, 297)])
def test_with_many_agents_a_whole_lap_is_listened_to_counted_from_the_first_report(agents, lap_s):
    listening, start = Listening(3_000), 1_000 * SECOND

    listening.report(TipReport(is_at_tip=True, agents=agents), start)
    listening.report(TipReport(is_at_tip=True, agents=agents), start + lap_s * SECOND - 1)
    assert listening.why_not(NEVER_ENDING)

    listening.report(TipReport(is_at_tip=True, agents=agents), start + lap_s * SECOND)
    assert listening.why_not(NEVER_ENDING) is None


def test_a_ledger_that_is_behind_after_a_lap_is_waited_for():
    listening = Listening(3_000)
    for second in range(0, 100, 10):
        listening.report(TipReport(is_at_tip=False, agents=4), second * SECOND)
    assert listening.why_not(NEVER_ENDING)

    listening.report(TipReport(is_at_tip=True, agents=4), 100 * SECOND)
    assert listening.why_not(NEVER_ENDING) is None

    listening.report(TipReport(is_at_tip=False, agents=4), 101 * SECOND)
    assert listening.why_not(NEVER_ENDING) is None, "this process has heard every vote since"


def at_tip(agents):
    listening = Listening(3_000)
    for second in (0, 1_000):
        listening.report(TipReport(is_at_tip=True, agents=agents), second * SECOND)
    assert listening.why_not(1_000 * SECOND) is None
    return listening


def test_while_another_instance_holds_the_lease_votes_wait_for_three_laps_and_no_longer():
    listening, start = at_tip(agents=4), 1_000 * SECOND

    for second in range(36):
        listening.report_lease(start + second * SECOND, is_taken=True, is_twin=False)
        assert "3 laps" in (listening.why_not(start + second * SECOND) or "")

    assert listening.why_not(start + 36 * SECOND) is None


def test_a_lease_that_comes_back_ends_the_wait():
    listening, now = at_tip(agents=4), 1_000 * SECOND
    listening.report_lease(now, is_taken=True, is_twin=False)
    listening.report_lease(now + SECOND, is_taken=False, is_twin=False)

    assert listening.why_not(now + SECOND) is None


def test_a_twin_stops_votes_for_as_long_as_it_is_there():
    listening = at_tip(agents=4)
    listening.report_lease(1_000 * SECOND, is_taken=False, is_twin=True)

    assert "runs twice" in (listening.why_not(NEVER_ENDING) or "")


def test_a_network_of_one_does_not_wait_for_a_lease_that_only_its_own_blocks_end():
    listening = at_tip(agents=1)
    for is_twin in (False, True):
        listening.report_lease(1_000 * SECOND, is_taken=not is_twin, is_twin=is_twin)
        assert listening.why_not(1_000 * SECOND) is None


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
