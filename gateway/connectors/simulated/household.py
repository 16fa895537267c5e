"""An invented household: power and energy at any moment, in integers, the same for the same seed.

The everyday part follows the shape of the German standard load profile for households (BDEW/VDEW
H0): a low night, a morning peak, a midday one, and the highest about 19:30; weekends rise later
and are fuller at midday. Its seasons follow H0's published day-of-year polynomial. A refrigerator
and appliances at pseudo-random times come on top. A year is about 3,500 kWh, a usual
four-person household. Local time is UTC. Energy is the exact integral of power: every part is
linear or constant between whole milliseconds, so sums of integers suffice.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
KNOT_MS = 30 * MINUTE_MS  # H0 is published in quarter hours; half hours keep its shape
EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday; Monday is 0

# Watts at 0:00, 0:30, ... 23:30; the last line meets the first of the next day.
_WEEKDAY_W = (
    *(176, 160, 150, 145, 142, 140, 140, 142, 146, 154, 170, 205),  # 0:00
    *(255, 310, 345, 350, 335, 320, 310, 305, 300, 302, 310, 328),  # 6:00
    *(345, 350, 335, 315, 298, 288, 284, 286, 294, 312, 340, 385),  # 12:00
    *(440, 500, 555, 600, 590, 550, 495, 445, 400, 345, 280, 220),  # 18:00
)
_WEEKEND_W = (
    *(200, 180, 165, 155, 148, 144, 142, 142, 144, 148, 154, 164),
    *(180, 205, 245, 295, 345, 380, 400, 405, 405, 415, 440, 470),
    *(490, 480, 445, 410, 385, 370, 362, 360, 366, 382, 410, 450),
    *(495, 540, 580, 605, 585, 540, 485, 435, 390, 340, 285, 235),
)
_STANDBY_W = 66  # router, heating pump, clocks: the same day and night, summer and winter
_CURVE_PER_MILLE = 620  # the rest of a year's 3,500 kWh is standby, refrigerator and appliances

_FRIDGE_W = 88
_FRIDGE_PERIOD_MS = 45 * MINUTE_MS  # the compressor runs for a third of it
_FRIDGE_ON_MS = 15 * MINUTE_MS

_PHASE_SHARES_PER_MILLE = (400, 330)  # L1 and L2 of the everyday part; L3 has the rest


@dataclass(frozen=True, slots=True)
class _Habit:
    """An appliance: on `per_mille` of days, from about `hour`, for about `minutes`, on a phase."""

    watts: int
    hour: int
    spread_minutes: int
    minutes: int
    per_mille: int
    phase: int


_HABITS = (
    _Habit(watts=2000, hour=6, spread_minutes=90, minutes=4, per_mille=950, phase=1),  # kettle
    _Habit(watts=900, hour=6, spread_minutes=100, minutes=6, per_mille=700, phase=1),  # toaster
    _Habit(watts=1600, hour=7, spread_minutes=60, minutes=7, per_mille=600, phase=2),  # hair dryer
    _Habit(watts=1800, hour=11, spread_minutes=120, minutes=22, per_mille=550, phase=0),  # hob
    _Habit(watts=2000, hour=15, spread_minutes=150, minutes=4, per_mille=800, phase=1),  # kettle
    _Habit(watts=2100, hour=9, spread_minutes=480, minutes=24, per_mille=450, phase=2),  # washing
    _Habit(watts=2300, hour=18, spread_minutes=80, minutes=30, per_mille=700, phase=0),  # oven
    _Habit(watts=1900, hour=20, spread_minutes=90, minutes=26, per_mille=650, phase=2),  # dishes
)


@dataclass(frozen=True, slots=True)
class _Run:
    """One appliance at work: `start_ms <= time < end_ms`, Unix milliseconds."""

    watts: int
    start_ms: int
    end_ms: int
    phase: int


def power_w(time_ms: int, seed: int) -> int:
    """Return the household's power at Unix time `time_ms`, in whole watts."""
    return sum(phases_w(time_ms, seed))


def phases_w(time_ms: int, seed: int) -> tuple[int, int, int]:
    """Return the power of the phases L1, L2 and L3, in whole watts."""
    everyday_w = _everyday_w(time_ms)
    phases = [everyday_w * share // 1000 for share in _PHASE_SHARES_PER_MILLE]
    phases.append(everyday_w - sum(phases))
    if (time_ms + _fridge_shift_ms(seed)) % _FRIDGE_PERIOD_MS < _FRIDGE_ON_MS:
        phases[0] += _FRIDGE_W
    for run in _runs(time_ms // DAY_MS, seed):
        if run.start_ms <= time_ms < run.end_ms:
            phases[run.phase] += run.watts
    return phases[0], phases[1], phases[2]


def energy_wh(start_ms: int, time_ms: int, seed: int) -> int:
    """Return the energy used from `start_ms` to `time_ms`, in whole watt-hours, rounded down."""
    return energy_mwh(start_ms, time_ms, seed) // 1000


def energy_mwh(start_ms: int, time_ms: int, seed: int) -> int:
    """Return the energy used from `start_ms` to `time_ms`, in whole milliwatt-hours, rounded down.

    It never falls as `time_ms` grows; `time_ms` must not be before `start_ms`.
    """
    assert start_ms <= time_ms, "energy is counted forwards"
    first, last = start_ms // DAY_MS, time_ms // DAY_MS
    whole_days = sum(_day_energy(day, seed) for day in range(first, last))
    twice_knot_w_ms = (
        whole_days + _energy_since_midnight(time_ms, seed) - _energy_since_midnight(start_ms, seed)
    )
    return twice_knot_w_ms * 1000 // (2 * KNOT_MS * HOUR_MS)


@lru_cache(maxsize=4096)
def _day_energy(day: int, seed: int) -> int:
    """Return the energy of a whole day, in units of 1 W ms / (2 KNOT_MS), like the next one."""
    everyday = sum((a + b) * KNOT_MS * KNOT_MS for a, b in pairwise(_knots(day)))
    runs = sum(run.watts * (run.end_ms - run.start_ms) for run in _runs(day, seed))
    start_ms = day * DAY_MS
    fridge = _fridge_on_ms(start_ms + DAY_MS, seed) - _fridge_on_ms(start_ms, seed)
    return everyday + 2 * KNOT_MS * (runs + _FRIDGE_W * fridge)


def _energy_since_midnight(time_ms: int, seed: int) -> int:
    """Integrate from the midnight before; twice the knot's length keeps half-squares whole."""
    day, since_ms = divmod(time_ms, DAY_MS)
    index, within_ms = divmod(since_ms, KNOT_MS)
    knots = _knots(day)
    everyday = sum((knots[i] + knots[i + 1]) * KNOT_MS * KNOT_MS for i in range(index))
    slope = knots[index + 1] - knots[index]
    everyday += 2 * KNOT_MS * knots[index] * within_ms + slope * within_ms * within_ms
    runs = sum(
        run.watts * (min(time_ms, run.end_ms) - run.start_ms)
        for run in _runs(day, seed)
        if run.start_ms < time_ms
    )
    fridge = _fridge_on_ms(time_ms, seed) - _fridge_on_ms(day * DAY_MS, seed)
    return everyday + 2 * KNOT_MS * (runs + _FRIDGE_W * fridge)


def _everyday_w(time_ms: int) -> int:
    day, since_ms = divmod(time_ms, DAY_MS)
    index, within_ms = divmod(since_ms, KNOT_MS)
    left, right = _knots(day)[index : index + 2]
    return left + (right - left) * within_ms // KNOT_MS


@lru_cache(maxsize=1024)
def _knots(day: int) -> tuple[int, ...]:
    """Return the everyday curve of a day: 49 powers in watts, the last one at its end."""
    is_weekend = (day + EPOCH_WEEKDAY) % 7 >= 5
    curve = _WEEKEND_W if is_weekend else _WEEKDAY_W
    factor = _season_per_mille(day) * _CURVE_PER_MILLE
    return tuple(_STANDBY_W + watts * factor // 1_000_000 for watts in (*curve, curve[0]))


def _season_per_mille(day: int) -> int:
    """Return H0's factor for a day of the year: about 1240 in midwinter and 780 in summer.

    BDEW: -3.92e-10 t^4 + 3.2e-7 t^3 - 7.02e-5 t^2 + 2.1e-3 t + 1.24, t from 1 to 365. A year is
    taken as 365 days; the calendar's leap days do not matter here.
    """
    t = day % 365 + 1
    terms = -392 * t**4 + 320_000 * t**3 - 70_200_000 * t**2 + 2_100_000_000 * t
    return (terms + 1_240_000_000_000) // 1_000_000_000


def _fridge_shift_ms(seed: int) -> int:
    return _draw(_FRIDGE_PERIOD_MS, "fridge", seed)


def _fridge_on_ms(time_ms: int, seed: int) -> int:
    """Return how long the compressor ran up to `time_ms`, counted from a fixed time long ago."""
    periods, within_ms = divmod(time_ms + _fridge_shift_ms(seed), _FRIDGE_PERIOD_MS)
    return periods * _FRIDGE_ON_MS + min(within_ms, _FRIDGE_ON_MS)


@lru_cache(maxsize=1024)
def _runs(day: int, seed: int) -> tuple[_Run, ...]:
    return tuple(_draw_runs(day, seed))


def _draw_runs(day: int, seed: int) -> Iterator[_Run]:
    for index, habit in enumerate(_HABITS):
        if _draw(1000, "used", seed, day, index) >= habit.per_mille:
            continue
        delay_ms = _draw(habit.spread_minutes * MINUTE_MS, "start", seed, day, index)
        length_ms = habit.minutes * MINUTE_MS * (800 + _draw(400, "long", seed, day, index)) // 1000
        start_ms = day * DAY_MS + habit.hour * HOUR_MS + delay_ms
        assert start_ms + length_ms <= (day + 1) * DAY_MS, "a habit ends before midnight"
        yield _Run(habit.watts, start_ms, start_ms + length_ms, habit.phase)


@lru_cache(maxsize=4096)
def _draw(below: int, *what: str | int) -> int:
    """Return a pseudo-random integer from 0 to `below` - 1 that depends on `what` alone."""
    digest = hashlib.blake2b(repr(what).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % below
