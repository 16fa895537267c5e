"""Few commits under load, quick answers after a pause, nothing written that nobody waits for."""

from gateway.broker.durable.pace import (
    COMMIT_WAIT_S,
    JOIN_S,
    QUICK_COMMITS_MAX,
    RETAINED_WAIT_S,
    UNPROMISED_WAIT_S,
    CommitPace,
    Waits,
)

AWAITED = Waits(is_awaited=True, is_large=False, has_changes=True, has_unpromised=False)
LARGE = Waits(is_awaited=True, is_large=True, has_changes=True, has_unpromised=False)
CHANGED = Waits(is_awaited=False, is_large=False, has_changes=True, has_unpromised=False)
RETAINED = Waits(is_awaited=False, is_large=False, has_changes=False, has_unpromised=True)
NOTHING = Waits(is_awaited=False, is_large=False, has_changes=False, has_unpromised=False)


def commits(waits: Waits, seconds: float) -> int:
    """How many commits a load makes that always waits for the next one."""
    pace, now_s, count = CommitPace(0.0), 0.0, 0
    while True:
        at = pace.next_at(now_s, waits)
        assert at is not None
        now_s = max(now_s, at)
        if now_s > seconds:
            return count
        pace.next_at(now_s, waits)
        pace.taken(now_s)
        count += 1


def test_a_load_without_end_costs_a_few_commits_a_second():
    assert commits(AWAITED, 600.0) / 600 < 1.1 / COMMIT_WAIT_S


def test_a_large_batch_waits_for_nothing():
    assert commits(LARGE, 1.0) > 0.9 / JOIN_S


def test_after_a_pause_somebody_who_waits_is_answered_at_once():
    pace = CommitPace(0.0)
    for _ in range(QUICK_COMMITS_MAX):
        assert pace.next_at(0.0, AWAITED) == JOIN_S
        pace.taken(0.0)
    assert pace.next_at(0.0, AWAITED) == COMMIT_WAIT_S

    pace.taken(0.1)
    assert pace.next_at(100.0, AWAITED) == 100.0 + JOIN_S


def test_what_nobody_waits_for_is_written_seldom():
    pace = CommitPace(0.0)
    assert pace.next_at(1.0, CHANGED) == 1.0 + UNPROMISED_WAIT_S
    assert pace.next_at(2.0, CHANGED) == 1.0 + UNPROMISED_WAIT_S
    assert pace.next_at(3.0, NOTHING) is None
    assert pace.next_at(4.0, RETAINED) == 4.0 + RETAINED_WAIT_S
    assert not pace.is_retained_due(3.0 + RETAINED_WAIT_S)
    assert pace.is_retained_due(4.0 + RETAINED_WAIT_S)
