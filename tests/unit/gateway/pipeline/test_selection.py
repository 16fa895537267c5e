"""Thinning loses no energy, no end of a batch and no value that becomes invalid."""

import itertools

from hypothesis import given, strategies as st

from gateway.pipeline.selection import select_for_session
from ledger.types.reading import ClockStatus, Quantity, Reading

EVERY_MS = 60_000


def reading(sequence: int, time_ms: int, *values: int | None) -> Reading:
    quantities = tuple(
        Quantity(f"q{number}", value, 0, "Wh") for number, value in enumerate(values)
    )
    return Reading(
        *(bytes(32), sequence, bytes(32), None, time_ms, ClockStatus.SYNCHRONISED),
        quantities=quantities,
        salt=bytes(16),
    )


@st.composite
def batches(draw: st.DrawFn) -> list[Reading]:
    """Consecutive readings; gateway time may stand still or be set back."""
    first = draw(st.integers(1, 10**6))
    steps = draw(st.lists(st.integers(-100_000, 100_000), min_size=1, max_size=40))
    readings, time_ms = [], 10**9
    for number, step in enumerate(steps):
        time_ms += step
        values = draw(st.lists(st.none() | st.just(1), min_size=2, max_size=2))
        readings.append(reading(first + number, time_ms, *values))
    return readings


@given(batches(), st.integers(-2, 45), st.integers(0, 2 * 10**9), st.integers(1, 200_000))
def test_what_is_chosen_is_in_order_new_and_ends_with_the_batch(batch, offset, last_ms, every_ms):
    after = batch[0].sequence + offset
    chosen = select_for_session(batch, after, last_ms, every_ms)
    new = [one for one in batch if one.sequence > after]

    assert [one.sequence for one in chosen] == sorted({one.sequence for one in chosen})
    assert all(one in new for one in chosen)
    assert chosen[-1:] == new[-1:], "nothing waits for the next batch"


@given(batches(), st.integers(1, 200_000))
def test_what_is_left_out_is_close_to_what_was_chosen_before_it(batch, every_ms):
    newest_ms = batch[0].gateway_time_ms
    chosen = select_for_session(batch, 0, newest_ms, every_ms)
    for one in batch:
        if one in chosen:
            newest_ms = one.gateway_time_ms
        else:
            assert one.gateway_time_ms - newest_ms < every_ms


@given(batches(), st.integers(1, 200_000))
def test_a_value_that_becomes_invalid_is_always_chosen(batch, every_ms):
    chosen = select_for_session(batch, 0, 10**12, every_ms)
    for before, one in itertools.pairwise(batch):
        for old, new in zip(before.quantities, one.quantities, strict=True):
            if old.value is not None and new.value is None:
                assert one in chosen


@given(batches(), st.integers(1, 200_000), st.integers(0, 39))
def test_a_batch_may_be_recorded_in_two_goes(batch, every_ms, split):
    """The recorder stops where the ledger takes no more, and goes on from there."""
    whole = select_for_session(batch, 0, 0, every_ms)
    first = whole[: split % len(whole) + 1]
    rest = select_for_session(batch, first[-1].sequence, first[-1].gateway_time_ms, every_ms)

    assert first + rest == whole


def test_a_value_that_stays_invalid_is_thinned_as_any_other():
    batch = [reading(n, n * 1_000, None if 3 <= n <= 6 else n) for n in range(1, 10)]

    chosen = select_for_session(batch, 0, 1_000, EVERY_MS)
    assert [one.sequence for one in chosen] == [3, 9]


def test_a_reading_is_due_when_its_time_has_come():
    batch = [reading(n, n * 20_000, n) for n in range(1, 9)]

    chosen = select_for_session(batch, 1, 20_000, EVERY_MS)
    assert [one.sequence for one in chosen] == [4, 7, 8]


def test_nothing_new_is_nothing_chosen():
    assert select_for_session([reading(1, 1, 1)], 1, 0, 1) == []
    assert select_for_session([], 0, 0, 1) == []
