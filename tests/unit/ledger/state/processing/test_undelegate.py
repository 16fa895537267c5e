"""Rules of Undelegate and Withdraw."""

import pytest

from ledger.params import DAY_MS, UNBONDING_ENTRIES_MAX, UNBONDING_MS_MIN
from ledger.state.accounts import STAKE_ESCROW
from ledger.state.overlay import Overlay
from ledger.state.penalties import announce_slash
from ledger.state.stake import get_allowance, get_stake, get_unbonding, put_unbonding
from ledger.types.stake import PenaltyCause, UnbondingEntry
from ledger.types.transaction import Delegate, Undelegate, Withdraw
from tests.support.stake_chain import BOND, MONEY, SLOT_MS, StakeChain
from tests.support.transactions import (
    ANNA,
    BEN,
    CARLA,
    FEE,
    PROPOSER,
    assert_failed,
    write,
)

BODY = Undelegate(ANNA.address, 200)


@pytest.fixture
def chain() -> StakeChain:
    chain = StakeChain(PROPOSER, people=(ANNA, BEN), epoch_blocks=1_000, epoch_ms=7 * DAY_MS)
    chain.enlist(ANNA)
    chain.must(BEN, Delegate(ANNA.address, 500, CARLA.address))
    return chain


def test_stake_stops_counting_at_once_and_is_free_after_the_unbonding_time(chain):
    chain.must(BEN, BODY)
    assert chain.agent(ANNA).delegated == get_stake(chain.state, BEN.address) == 300
    assert get_allowance(chain.state, CARLA.address).stake == 300
    (entry,) = get_unbonding(chain.state, BEN.address)
    assert (entry.amount, entry.is_bond) == (200, False)
    assert UNBONDING_MS_MIN <= entry.free_at_ms - chain.time_ms < UNBONDING_MS_MIN + DAY_MS
    assert_failed(chain.run(BEN, Withdraw()), "too-early")
    chain.time_ms = entry.free_at_ms - SLOT_MS
    before = chain.balance(BEN)
    chain.must(BEN, Withdraw())
    assert chain.balance(BEN) == before + 200 - FEE
    assert get_unbonding(chain.state, BEN.address) == ()
    assert chain.balance(STAKE_ESCROW) == BOND + 300


def test_one_millisecond_before_nothing_is_free(chain):
    chain.must(BEN, BODY)
    (entry,) = get_unbonding(chain.state, BEN.address)
    chain.time_ms = entry.free_at_ms - SLOT_MS - 1
    assert_failed(chain.run(BEN, Withdraw()), "too-early")


def test_what_is_taken_back_on_one_day_is_one_entry(chain):
    chain.must(BEN, BODY)
    chain.must(BEN, BODY)
    assert [entry.amount for entry in get_unbonding(chain.state, BEN.address)] == [400]


def test_so_many_days_may_be_pending(chain):
    overlay = Overlay(chain.state)
    days = (UnbondingEntry(day, 0, is_bond=False) for day in range(UNBONDING_ENTRIES_MAX))
    put_unbonding(overlay, BEN.address, tuple(days))
    write(chain.state, overlay.writes)
    assert_failed(chain.run(BEN, BODY), "full")
    assert get_stake(chain.state, BEN.address) == 500


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (Undelegate(ANNA.address, 0), "out-of-range"),
        (Undelegate(ANNA.address, 501), "insufficient-funds"),
        (Undelegate(BEN.address, 1), "insufficient-funds"),
        (Undelegate(CARLA.address, 1), "insufficient-funds"),
    ],
)
def test_one_field_that_is_wrong_is_refused(chain, body, reason):
    assert_failed(chain.run(BEN, body), reason)


def test_a_bond_falls_to_nothing_or_not_below_the_least(chain):
    assert_failed(chain.run(ANNA, Undelegate(ANNA.address, 1)), "out-of-range")
    assert_failed(chain.run(ANNA, Undelegate(ANNA.address, BOND + 1)), "insufficient-funds")
    chain.must(ANNA, Undelegate(ANNA.address, BOND))
    assert chain.agent(ANNA).bond == 0
    assert [entry.is_bond for entry in get_unbonding(chain.state, ANNA.address)] == [True]


def test_who_is_about_to_be_slashed_withdraws_nothing(chain):
    chain.must(ANNA, Undelegate(ANNA.address, BOND))
    overlay = Overlay(chain.state)
    announce_slash(overlay, 0, ANNA.address, BEN.address, PenaltyCause.DOUBLE_NOTARIZE)
    write(chain.state, overlay.writes)
    chain.time_ms += UNBONDING_MS_MIN + DAY_MS
    assert_failed(chain.run(ANNA, Withdraw()), "too-early")
    assert chain.balance(ANNA) < MONEY - BOND
