"""Times as text: UTC, milliseconds, exact in both directions."""

import pytest
from hypothesis import given, strategies as st

from ledger.errors import CodecError
from ledger.types.time_text import TIME_TEXT_MAX_MS, format_time_ms, parse_time_ms


@pytest.mark.parametrize(
    ("time_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_700_000_000_007, "2023-11-14T22:13:20.007Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (TIME_TEXT_MAX_MS, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_times_of_the_calendar(time_ms: int, text: str):
    assert format_time_ms(time_ms) == text
    assert parse_time_ms(text) == time_ms


def test_a_time_beyond_the_calendar_stays_a_number():
    assert format_time_ms(TIME_TEXT_MAX_MS + 1) == "253402300800000"


@given(st.integers(0, TIME_TEXT_MAX_MS))
def test_every_time_reads_back(time_ms: int):
    assert parse_time_ms(format_time_ms(time_ms)) == time_ms


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2023-11-14",
        "2023-11-14T22:13:20",
        "2023-11-14T22:13:20+01:00",
        "2023-11-14T22:13:20.1Z",
        "2023-11-14 22:13:20Z",
        "2023-02-29T00:00:00Z",
        "2023-11-14T24:00:01Z",
        "1969-12-31T23:59:59Z",
        "٢٠٢٣-11-14T22:13:20Z",
        "2023-11-14T22:13:20Z\n",
    ],
)
def test_anything_else_is_refused(text: str):
    with pytest.raises(CodecError):
        parse_time_ms(text)
