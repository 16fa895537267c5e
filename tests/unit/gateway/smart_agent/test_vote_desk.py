"""The order in front of the key: alarm, listening, rate, guard."""

import pytest

from gateway.errors import AgentError
from gateway.smart_agent.alarm import AlarmFile
from gateway.smart_agent.guard import SignGuard, create_guard_file
from gateway.smart_agent.judge import FIRST_RECORD, SignRecord, VoteRequest
from gateway.smart_agent.messages import RefusedReason
from gateway.smart_agent.vote_desk import VoteDesk
from gateway.smart_agent.vote_watch import TipReport
from ledger.crypto.domains import VoteKind
from tests.support.readings import ManualClock

A, B = b"a" * 32, b"b" * 32


def vote(slot, block_hash=A):
    return VoteRequest(VoteKind.NOTARIZE, 0, slot, block_hash)


@pytest.fixture
def guard(tmp_path):
    create_guard_file(tmp_path / "guard", FIRST_RECORD)
    with SignGuard(tmp_path / "guard") as guard:
        yield guard


@pytest.fixture
def alarm_path(tmp_path):
    return tmp_path / "alarm"


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def desk(guard, alarm_path, clock):
    return VoteDesk(guard, AlarmFile(alarm_path), 3_000, clock)


def test_a_vote_before_the_tip_is_refused_and_leaves_no_record(desk, guard):
    refused = desk.admit(vote(1))

    assert refused.reason is RefusedReason.LISTENING
    assert guard.record == FIRST_RECORD
    desk.report_tip(TipReport(is_at_tip=True, agents=1))
    assert desk.standing == "voting"
    assert desk.admit(vote(1)) is None
    assert guard.record == SignRecord(0, 1, notarized=A)


def test_listening_is_two_lines_in_the_log_however_many_votes_it_refuses(desk, caplog):
    caplog.set_level("INFO", "gateway.smart_agent")
    for slot in range(1, 8):
        desk.admit(vote(slot))
    desk.report_tip(TipReport(is_at_tip=True, agents=1))
    desk.admit(vote(8))

    begin, end = [record.getMessage() for record in caplog.records]
    assert begin.startswith("votes are not signed: listens first")
    assert end == "listened long enough: votes from now on, 7 were refused"


def test_more_votes_than_slots_need_are_refused(desk, clock, guard):
    desk.report_tip(TipReport(is_at_tip=True, agents=1))
    reasons = [desk.admit(vote(slot)) for slot in range(1, 21)]

    assert reasons[:18] == [None] * 18
    assert {refused.reason for refused in reasons[18:]} == {RefusedReason.RATE_LIMIT}
    assert guard.record.slot == 18
    clock._monotonic_ns += 1_000_000_000
    assert [desk.admit(vote(slot)) for slot in range(21, 27)] == [None] * 6
    assert desk.admit(vote(27)).reason is RefusedReason.RATE_LIMIT


def test_a_lab_with_short_slots_votes_faster(guard, alarm_path, clock):
    desk = VoteDesk(guard, AlarmFile(alarm_path), 500, clock)
    desk.report_tip(TipReport(is_at_tip=True, agents=1))

    assert [desk.admit(vote(slot)) for slot in range(1, 109)] == [None] * 108


def test_a_clock_set_back_changes_nothing(desk, clock):
    desk.report_tip(TipReport(is_at_tip=True, agents=1))
    assert desk.admit(vote(5)) is None

    clock.time_ms -= 10 * 365 * 86_400_000

    assert desk.admit(vote(5, B)).reason is RefusedReason.SIGN_GUARD
    assert desk.admit(vote(4)).reason is RefusedReason.SIGN_GUARD
    assert desk.admit(vote(6)) is None


def test_the_alarm_stops_every_vote_now_and_after_a_restart(desk, guard, alarm_path, clock):
    desk.report_tip(TipReport(is_at_tip=True, agents=1))
    assert desk.is_strange(vote(7, B))

    desk.raise_alarm(vote(7, B))

    for one in (desk, VoteDesk(guard, AlarmFile(alarm_path), 3_000, clock)):
        one.report_tip(TipReport(is_at_tip=True, agents=1))
        refused = one.admit(vote(9))
        assert refused
        assert refused.reason is RefusedReason.ALARM
        assert "NOTARIZE vote in epoch 0 slot 7 is not ours" in refused.detail
        assert "guard quarantine" in refused.detail


def test_an_unreadable_alarm_is_an_alarm(alarm_path):
    alarm_path.write_text("?")
    alarm_path.chmod(0o600)

    with pytest.raises(AgentError, match="says there was an alarm"):
        AlarmFile(alarm_path)
