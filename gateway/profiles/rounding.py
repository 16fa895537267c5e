"""Exact numbers to integers at a scale: rounded half to even, None where there is no valid value."""

import decimal
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Self

from gateway.profiles.profile import Measure
from ledger.types.reading import Quantity

INTEGER_MAX = 2**63 - 1  # a reading's values fit a signed 64-bit integer
_DIGITS_MAX = len(str(INTEGER_MAX))
# Wide enough that shifting the point of any number in a 64 KiB message never rounds it.
_WIDE = decimal.Context(
    prec=70_000, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN, traps=[decimal.InvalidOperation]
)


def round_ratio(numerator: int, denominator: int, power: int) -> int:
    """Return `numerator / denominator * 10**power` rounded half to even; `denominator` > 0."""
    if power >= 0:
        numerator *= 10**power
    else:
        denominator *= 10**-power
    quotient, rest = divmod(numerator, denominator)
    doubled = 2 * rest
    return quotient + (doubled > denominator or (doubled == denominator and quotient & 1))


def round_decimal(value: Decimal, power: int) -> int | None:
    """Return `value * 10**power` rounded half to even; None beyond 19 digits or not finite."""
    if not value.is_finite():
        return None
    if not value:
        return 0
    if value.adjusted() + power >= _DIGITS_MAX:
        return None
    if value.adjusted() + power < -1:
        return 0
    shifted = value.scaleb(power, _WIDE)
    return int(shifted.to_integral_value(decimal.ROUND_HALF_EVEN, _WIDE))


@dataclass(frozen=True, slots=True)
class Rounder:
    """Makes one measure's quantities from exact numbers. `low` and `high` are at its scale."""

    name: str
    unit: str
    scale: int
    power: int
    low: int
    high: int

    @classmethod
    def of(cls, measure: Measure) -> Self:
        """Return the rounder of a measure, with its range as integers at its scale."""
        low, high = -INTEGER_MAX, INTEGER_MAX
        if measure.range is not None:
            step = Fraction(10) ** measure.scale
            low = max(low, -(-measure.range[0] // step))
            high = min(high, measure.range[1] // step)
        return cls(
            name=measure.name,
            unit=measure.unit,
            scale=measure.scale,
            power=measure.exponent - measure.scale,
            low=low,
            high=high,
        )

    def from_ratio(self, numerator: int, denominator: int, exponent: int = 0) -> Quantity:
        """Return the quantity of the device's number `numerator / denominator * 10**exponent`."""
        return self.quantity(round_ratio(numerator, denominator, self.power + exponent))

    def from_decimal(self, value: Decimal) -> Quantity:
        """Return the quantity of the device's decimal number."""
        return self.quantity(round_decimal(value, self.power))

    def quantity(self, value: int | None) -> Quantity:
        """Return the quantity of an integer at this scale; out of range is no value."""
        if value is not None and not self.low <= value <= self.high:
            value = None
        return Quantity(self.name, value, self.scale, self.unit)
