"""Amounts of SSP as people write them: exact decimals, never floats."""

from decimal import Decimal, InvalidOperation

from gateway.errors import SettingsError
from ledger.params import AMOUNT_MAX, SSP_BASE_UNITS, SSP_DECIMALS


def format_ssp(amount: int) -> str:
    """Return base units as SSP with all eight decimals, for example `1.50000000`."""
    whole, fraction = divmod(amount, SSP_BASE_UNITS)
    return f"{whole}.{fraction:0{SSP_DECIMALS}d}"


def parse_ssp(text: str) -> int:
    """Return base units of an amount such as `1.5`; raises `SettingsError` with one line."""
    try:
        amount = Decimal(text).scaleb(SSP_DECIMALS)
        is_whole = amount == amount.to_integral_value()
    except InvalidOperation:
        raise SettingsError(f"amount {text!r} is not a number of SSP, for example 1.5") from None
    if not is_whole:
        raise SettingsError(f"amount {text} has more than {SSP_DECIMALS} decimals")
    if not 0 <= amount <= AMOUNT_MAX:
        raise SettingsError(f"amount {text} is not between 0 and {format_ssp(AMOUNT_MAX)}")
    return int(amount)
