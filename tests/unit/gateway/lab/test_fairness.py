"""Gini and Nakamoto coefficients of shares that can be computed by hand."""

from fractions import Fraction

import pytest

from gateway.lab.fairness import compute_gini, compute_nakamoto


@pytest.mark.parametrize(
    ("shares", "gini"),
    [
        ([], Fraction(0)),
        ([0, 0], Fraction(0)),
        ([7], Fraction(0)),
        ([3, 3, 3], Fraction(0)),
        ([0, 1], Fraction(1, 2)),
        ([0, 0, 0, 4], Fraction(3, 4)),
        ([1, 3], Fraction(1, 4)),
    ],
)
def test_gini(shares: list[int], gini: Fraction):
    assert compute_gini(shares) == gini
    assert compute_gini(list(reversed(shares))) == gini


@pytest.mark.parametrize(
    ("shares", "count"),
    [([], 0), ([1], 1), ([1, 1, 1], 2), ([1] * 4, 2), ([1] * 99, 34), ([5, 1, 1], 1)],
)
def test_nakamoto(shares: list[int], count: int):
    assert compute_nakamoto(shares) == count
