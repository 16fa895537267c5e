"""What the options of `wallet policy` make of a policy."""

import argparse

import msgspec
import pytest

from gateway.cli.wallet_policy import _change, parse_coin, parse_units
from gateway.errors import SettingsError
from gateway.smart_agent.spending.rules import CoinLimit, SpendingPolicy
from ledger.codec.text import format_address
from ledger.params import SSP_BASE_UNITS

ANNA, COIN = b"a" * 32, b"c" * 32
NOTHING = {
    "payment_max": None,
    "day_max": None,
    "approval_above": None,
    "allow": None,
    "allow_anybody": False,
    "coin": None,
}


def change(policy: SpendingPolicy = SpendingPolicy(), **options: object) -> SpendingPolicy:  # noqa: B008 - frozen
    return _change(policy, argparse.Namespace(**(NOTHING | options)))


@pytest.mark.parametrize(
    ("options", "changes"),
    [
        ({}, {}),
        ({"payment_max": "1.5"}, {"payment_max": SSP_BASE_UNITS * 3 // 2}),
        ({"day_max": "none"}, {"day_max": None}),
        ({"approval_above": "0"}, {"approval_above": 0}),
        ({"allow": [format_address(ANNA)]}, {"allowed": (ANNA,)}),
        ({"coin": [[COIN.hex(), "3", "9"]]}, {"coins": (CoinLimit(COIN, 3, 9),)}),
    ],
)
def test_each_option_changes_its_own_field(options, changes):
    assert change(**options) == msgspec.structs.replace(SpendingPolicy(), **changes)


def test_a_list_is_forgotten_and_a_coins_limit_replaced():
    policy = SpendingPolicy(allowed=(ANNA,), coins=(CoinLimit(COIN, 1, 2),))
    assert change(policy, allow_anybody=True).allowed == ()
    assert change(policy, coin=[[COIN.hex(), "5", "6"]]).coins == (CoinLimit(COIN, 5, 6),)


@pytest.mark.parametrize("text", ["", "zz", "ab", "0x" + "11" * 32])
def test_a_coin_that_is_none_is_refused(text):
    with pytest.raises(SettingsError, match="not a coin's id"):
        parse_coin(text)


@pytest.mark.parametrize("text", ["", "-1", "1.5", "9" * 30, "\u0663"])
def test_units_that_are_none_are_refused(text):
    with pytest.raises(SettingsError, match="not a number of units"):
        parse_units(text)
