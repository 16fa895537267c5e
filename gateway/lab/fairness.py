"""How evenly something is spread over agents."""

from collections.abc import Sequence
from fractions import Fraction


def compute_gini(shares: Sequence[int]) -> Fraction:
    """Return the Gini coefficient of shares: 0 when all are equal, towards 1 when one has all."""
    total = sum(shares)
    if not total:
        return Fraction(0)
    ordered = sorted(shares)
    weighted = sum(rank * share for rank, share in enumerate(ordered, 1))
    count = len(ordered)
    return Fraction(2 * weighted, count * total) - Fraction(count + 1, count)


def compute_nakamoto(shares: Sequence[int]) -> int:
    """Return how few agents together hold more than a third of the shares: enough to stop a chain."""
    total, held = sum(shares), 0
    for count, share in enumerate(sorted(shares, reverse=True), 1):
        held += share
        if 3 * held > total:
            return count
    return 0
