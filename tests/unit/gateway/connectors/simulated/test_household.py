"""The invented household: exact, repeatable, and like a real one."""

from hypothesis import given, settings, strategies as st

from gateway.connectors.simulated.household import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    energy_mwh,
    energy_wh,
    phases_w,
    power_w,
)

MONDAY_MS = 1_780_272_000_000  # 2026-06-01, 00:00 UTC
NEW_YEAR_MS = 1_767_225_600_000  # 2026-01-01, 00:00 UTC

times = st.integers(NEW_YEAR_MS, NEW_YEAR_MS + 365 * DAY_MS)
seeds = st.integers(0, 1000)


@given(times, seeds, st.integers(0, 3 * DAY_MS), st.integers(0, 3 * DAY_MS))
def test_energy_never_falls(start_ms, seed, first, second):
    earlier, later = sorted((first, second))

    early = energy_mwh(start_ms, start_ms + earlier, seed)

    assert 0 <= early <= energy_mwh(start_ms, start_ms + later, seed)


@given(times, seeds, st.integers(0, 2 * DAY_MS), st.integers(0, 2 * DAY_MS))
def test_energy_of_two_spans_adds_up(start_ms, seed, first, second):
    middle_ms, end_ms = start_ms + first, start_ms + first + second

    parts = energy_mwh(start_ms, middle_ms, seed) + energy_mwh(middle_ms, end_ms, seed)

    assert 0 <= energy_mwh(start_ms, end_ms, seed) - parts <= 1  # each is rounded down


@settings(max_examples=20)
@given(times, seeds)
def test_energy_is_the_integral_of_power(start_ms, seed):
    step_ms, steps = 5_000, 720
    samples_w = [power_w(start_ms + i * step_ms, seed) for i in range(steps)]
    sampled_mwh = sum(samples_w) * step_ms // 3_600

    # Off by at most: rounding to whole watts, and one step of each appliance that starts or ends.
    allowed_mwh = 1000 + 10 * 2_300 * step_ms // 3_600
    exact_mwh = energy_mwh(start_ms, start_ms + steps * step_ms, seed)
    assert abs(exact_mwh - sampled_mwh) <= allowed_mwh


@given(times, seeds)
def test_phases_add_up_to_the_total(time_ms, seed):
    phases = phases_w(time_ms, seed)

    assert min(phases) > 0
    assert sum(phases) == power_w(time_ms, seed)
    assert 130 <= sum(phases) < 12_000


@given(seeds, st.integers(0, 364))
def test_every_day_is_plausible(seed, day):
    start_ms = NEW_YEAR_MS + day * DAY_MS

    assert 5_000 <= energy_wh(start_ms, start_ms + DAY_MS, seed) <= 20_000


def test_a_year_is_a_usual_household():
    assert 3_300_000 <= energy_wh(NEW_YEAR_MS, NEW_YEAR_MS + 365 * DAY_MS, seed=1) <= 3_700_000


def test_the_night_is_low_and_the_evening_high():
    def average_w(hour: int, hours: int) -> int:
        weeks = 8
        spans = [MONDAY_MS + week * 7 * DAY_MS + hour * HOUR_MS for week in range(weeks)]
        return sum(energy_wh(ms, ms + hours * HOUR_MS, 1) for ms in spans) // (weeks * hours)

    assert 150 <= average_w(1, 3) <= 250
    assert average_w(6, 2) > average_w(1, 3)
    assert average_w(19, 2) > average_w(13, 4)


def test_the_seed_decides_everything():
    def day(seed: int) -> list[int]:
        return [power_w(MONDAY_MS + i * MINUTE_MS, seed) for i in range(1440)]

    assert day(1) == day(1)
    assert day(1) != day(2)
