"""Real and sped-up time, and how often the kernel is asked about its discipline."""

import time

import pytest

from gateway import clock as clock_module
from gateway.clock import STATUS_CACHE_NS, ScaledClock, SystemClock, is_kernel_clock_synchronised
from ledger.types.reading import ClockStatus


def test_the_system_clock_is_the_machines():
    before = time.time_ns() // 1_000_000
    now = SystemClock().now_ms()
    assert before <= now <= time.time_ns() // 1_000_000

    before = time.monotonic_ns()
    assert before <= SystemClock().monotonic_ns() <= time.monotonic_ns()


def test_the_kernel_can_be_asked_without_privileges():
    assert is_kernel_clock_synchronised() in (True, False)


@pytest.mark.parametrize(
    ("is_synchronised", "status"),
    [(True, ClockStatus.SYNCHRONISED), (False, ClockStatus.UNSYNCHRONISED)],
)
def test_the_status_is_the_kernels(monkeypatch, is_synchronised, status):
    monkeypatch.setattr(clock_module, "is_kernel_clock_synchronised", lambda: is_synchronised)

    assert SystemClock().status() is status
    assert SystemClock().is_synchronised() is is_synchronised


def test_the_kernel_is_asked_once_a_second(monkeypatch):
    now_ns, answers = 5_000, [True, False]
    monkeypatch.setattr(time, "monotonic_ns", lambda: now_ns)
    monkeypatch.setattr(clock_module, "is_kernel_clock_synchronised", lambda: answers.pop(0))
    clock = SystemClock()

    assert clock.status() is ClockStatus.SYNCHRONISED
    now_ns += STATUS_CACHE_NS - 1
    assert clock.status() is ClockStatus.SYNCHRONISED
    now_ns += 1
    assert clock.status() is ClockStatus.UNSYNCHRONISED
    assert answers == []


def test_scaled_time_starts_at_its_start_and_runs_by_its_factor(monkeypatch):
    now_ms = 1_000_000
    monkeypatch.setattr(time, "time_ns", lambda: now_ms * 1_000_000)
    clock = ScaledClock(start_ms=50_000, factor=3600, origin_ms=1_000_000)

    assert clock.now_ms() == 50_000
    now_ms += 1
    assert clock.now_ms() == 53_600
    now_ms -= 2
    assert clock.now_ms() == 46_400


def test_scaled_time_goes_on_in_another_process_where_it_stood(monkeypatch):
    monkeypatch.setattr(time, "time_ns", lambda: 2_000_000 * 1_000_000)

    first, second = (ScaledClock(50_000, 10, 1_000_000) for _ in range(2))
    assert first.now_ms() == second.now_ms() == 50_000 + 10_000_000


def test_scaled_time_is_marked_as_simulated_always():
    clock = ScaledClock(0, 1, 0)

    assert clock.status() is ClockStatus.SIMULATED
    assert clock.is_synchronised()
    assert abs(clock.monotonic_ns() - time.monotonic_ns()) < 10**9
