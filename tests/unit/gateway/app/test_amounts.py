"""Amounts are exact, or refused in one line."""

import pytest
from hypothesis import given, strategies as st

from gateway.app.amounts import format_ssp, parse_ssp
from gateway.errors import SettingsError
from ledger.params import AMOUNT_MAX


@given(st.integers(0, AMOUNT_MAX))
def test_what_is_written_is_read_again(amount):
    assert parse_ssp(format_ssp(amount)) == amount


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", 0),
        ("1", 100_000_000),
        ("1.5", 150_000_000),
        ("0.00000001", 1),
        ("007.10", 710_000_000),
        ("92233720368.54775807", AMOUNT_MAX),
    ],
)
def test_amounts_as_people_write_them(text, amount):
    assert parse_ssp(text) == amount


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0.000000001", "more than 8 decimals"),
        ("1.000000000000000000000000000000", "more than 8 decimals"),
        ("92233720368.54775808", "not between 0 and 92233720368.54775807"),
        *(
            (text, "not a number of SSP")
            for text in ("", "-1", "+1", "1.", ".5", "1,5", "1 5", " 1")
        ),
        *(
            (text, "not a number of SSP")
            for text in ("NaN", "sNaN", "Infinity", "1e3", "1_000", "٣")
        ),
        *((text, "not a number of SSP") for text in ("1E+999999999", "9" * 10_000, "1\n")),
    ],
)
def test_what_is_no_amount_is_refused(text, words):
    with pytest.raises(SettingsError, match=words) as raised:
        parse_ssp(text)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 120


@given(st.text(max_size=30))
def test_any_text_is_an_amount_or_one_line(text):
    try:
        answer: int | str = parse_ssp(text)
    except SettingsError as error:
        answer = str(error)
    assert 0 <= answer <= AMOUNT_MAX if isinstance(answer, int) else "\n" not in answer
