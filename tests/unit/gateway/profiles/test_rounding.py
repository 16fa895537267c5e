"""Rounding is exact: it agrees with rational arithmetic for every number."""

import struct
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, strategies as st

from gateway.profiles.profile import Measure
from gateway.profiles.rounding import INTEGER_MAX, Rounder, round_decimal, round_ratio

powers = st.integers(-18, 18)


@given(st.integers(-(2**70), 2**70), st.integers(1, 2**40), powers)
def test_ratios(numerator, denominator, power):
    exact = Fraction(numerator, denominator) * Fraction(10) ** power
    assert round_ratio(numerator, denominator, power) == round(exact)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), powers)
def test_binary_fractions(number, power):
    exact = Fraction(number) * Fraction(10) ** power
    numerator, denominator = number.as_integer_ratio()
    assert round_ratio(numerator, denominator, power) == round(exact)


@given(
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9), powers
)
def test_decimals(number, power):
    exact = round(Fraction(number) * Fraction(10) ** power)
    found = round_decimal(number, power)
    assert found == exact or (found is None and abs(exact) > INTEGER_MAX)


@pytest.mark.parametrize(
    ("text", "power", "value"),
    [
        ("0.5", 0, 0),
        ("1.5", 0, 2),
        ("-2.5", 0, -2),
        ("2.5000000000000000000000000000000000000000001", 0, 3),
        ("0.0005", 3, 0),
        ("NaN", 0, None),
        ("Infinity", 0, None),
        ("1e999999", 0, None),
        ("1e-999999", 0, 0),
        ("0e999999", 0, 0),
    ],
)
def test_decimal_corners(text, power, value):
    assert round_decimal(Decimal(text), power) == value


def test_a_float32_is_rounded_from_its_own_value_not_from_its_shortest_text():
    below_half = struct.unpack(">f", struct.pack(">f", 0.45))[0]  # 0.449999988079071...
    numerator, denominator = below_half.as_integer_ratio()
    assert round_ratio(numerator, denominator, 1) == 4
    assert round_ratio(1, 4, 1) == 2  # 2.5: half to even
    assert round_ratio(3, 4, 1) == 8  # 7.5: half to even


def test_a_range_counts_both_ends_and_refuses_beyond():
    rounder = Rounder.of(Measure(name="power", unit="W", scale=-1, range=(-5, 5)))
    assert rounder.from_decimal(Decimal(5)).value == 50
    assert rounder.from_decimal(Decimal(-5)).value == -50
    assert rounder.from_decimal(Decimal("5.1")).value is None
    assert rounder.from_decimal(Decimal("-5.1")).value is None


def test_a_range_that_falls_between_steps_is_not_widened():
    rounder = Rounder.of(Measure(name="power", unit="W", scale=1, range=(-15, 15)))
    assert rounder.quantity(1).value == 1
    assert rounder.quantity(2).value is None
    assert rounder.quantity(-1).value == -1
    assert rounder.quantity(-2).value is None


def test_what_does_not_fit_64_bits_is_no_value():
    rounder = Rounder.of(Measure(name="power", unit="W", scale=0))
    assert rounder.from_ratio(2**63, 1).value is None
    assert rounder.from_ratio(INTEGER_MAX, 1).value == INTEGER_MAX
