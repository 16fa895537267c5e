"""The arithmetic of polling: a fixed grid, back-off, and one complaint a minute."""

import logging

from hypothesis import given, strategies as st

from gateway.connectors.modbus.client import RETRIES, TIMEOUT_S
from gateway.connectors.modbus.poller import (
    REFUSAL_LOG_INTERVAL_NS,
    RefusalLog,
    get_back_off_ms,
    get_next_due_ns,
    get_shared_patience,
)
from gateway.errors import Rejected, RejectReason
from ledger.types.reading import ClockStatus

MS = 1_000_000


class ManualClock:
    """A clock that a test turns by hand."""

    def __init__(self) -> None:
        self.ns = 5_000_000_000

    def now_ms(self) -> int:
        return self.ns // MS

    def monotonic_ns(self) -> int:
        return self.ns

    def status(self) -> ClockStatus:
        return ClockStatus.SYNCHRONISED

    def is_synchronised(self) -> bool:
        return True


def test_a_lost_device_is_left_alone_ever_longer_up_to_five_minutes():
    assert [get_back_off_ms(n) for n in (1, 2, 3, 149, 150, 151, 10**6)] == [
        *(2_000, 4_000, 6_000, 298_000, 300_000),
        *(300_000, 300_000),
    ]


def test_the_next_poll_is_on_the_grid_however_long_this_one_took():
    assert get_next_due_ns(0, 100, 0) == 100 * MS
    assert get_next_due_ns(0, 100, 99 * MS) == 100 * MS
    assert get_next_due_ns(1_000 * MS, 100, 1_030 * MS) == 1_100 * MS


def test_a_silent_device_on_a_shared_connection_costs_the_others_little():
    waits_s = [get_shared_patience(n, 200, is_lost=n > RETRIES).timeout_s for n in range(8)]

    assert waits_s == [TIMEOUT_S, *[0.16] * 5, TIMEOUT_S, 0.16]
    assert get_shared_patience(1, 60_000, is_lost=False).timeout_s == TIMEOUT_S
    assert get_shared_patience(1, 50, is_lost=False).timeout_s == 0.1


def test_on_a_shared_connection_silence_is_never_asked_again_at_once():
    present, lost = (get_shared_patience(2, 1000, is_lost=is_lost) for is_lost in (False, True))

    assert present.silence_retries == lost.silence_retries == 0
    assert (present.busy_retries, lost.busy_retries) == (RETRIES, 0)


def test_missed_polls_are_skipped_not_caught_up():
    assert get_next_due_ns(0, 100, 350 * MS) == 400 * MS


@given(
    st.integers(0, 10**15),
    st.integers(50, 86_400_000),
    st.integers(0, 10**15),
)
def test_the_next_poll_is_the_first_grid_point_in_the_future(due_ns, interval_ms, late_ns):
    now_ns = due_ns + late_ns

    next_ns = get_next_due_ns(due_ns, interval_ms, now_ns)

    assert now_ns < next_ns <= now_ns + interval_ms * MS
    assert (next_ns - due_ns) % (interval_ms * MS) == 0


def test_refusals_are_logged_once_a_minute_with_their_number(caplog):
    clock = ManualClock()
    refusals = RefusalLog(clock)
    overloaded = Rejected(RejectReason.OVERLOADED, "the queue is full")

    with caplog.at_level(logging.WARNING):
        for _ in range(1000):
            refusals.note("meter", overloaded)
        clock.ns += REFUSAL_LOG_INTERVAL_NS
        refusals.note("meter", overloaded)

    assert [record.getMessage() for record in caplog.records] == [
        "meter: reading not stored: overloaded: the queue is full (1 refused so far)",
        "meter: reading not stored: overloaded: the queue is full (1001 refused so far)",
    ]
