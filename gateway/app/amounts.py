"""Amounts of SSP as people write them: exact decimals, never floats."""

import re

from gateway.errors import SettingsError
from ledger.params import AMOUNT_MAX, SSP_BASE_UNITS, SSP_DECIMALS

# Bounded: the longest amount has 11 digits before the point.
_FORM = re.compile(r"(?P<whole>[0-9]{1,40})(?:\.(?P<fraction>[0-9]{1,40}))?", re.ASCII)


def format_ssp(amount: int) -> str:
    """Return base units as SSP with all eight decimals, for example `1.50000000`."""
    whole, fraction = divmod(amount, SSP_BASE_UNITS)
    return f"{whole}.{fraction:0{SSP_DECIMALS}d}"


def parse_ssp(text: str) -> int:
    """Return base units of an amount such as `1.5`; raises `SettingsError` with one line."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise SettingsError(f"amount {text[:40]!r} is not a number of SSP, for example 1.5")
    whole, fraction = match["whole"], match["fraction"] or ""
    if len(fraction) > SSP_DECIMALS:
        raise SettingsError(f"amount {text} has more than {SSP_DECIMALS} decimals")
    amount = int(whole + fraction.ljust(SSP_DECIMALS, "0"))
    if amount > AMOUNT_MAX:
        raise SettingsError(f"amount {text} is not between 0 and {format_ssp(AMOUNT_MAX)}")
    return amount
