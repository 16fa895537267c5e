"""Rules of Delegate."""

import msgspec
import pytest

from ledger.state.accounts import STAKE_ESCROW
from ledger.state.stake import get_allowance, get_delegation, get_stake, get_stake_total
from ledger.types.transaction import Delegate
from tests.support.stake_chain import BOND, StakeChain
from tests.support.transactions import ANNA, BEN, CARLA, PROPOSER, Person, assert_failed

BODY = Delegate(ANNA.address, 500, CARLA.address)
METERS = Person("anna's meters")


@pytest.fixture
def chain() -> StakeChain:
    chain = StakeChain(PROPOSER, people=(ANNA, BEN))
    chain.enlist(ANNA)
    return chain


def test_lent_stake_counts_for_the_agent_and_benefits_whom_the_lender_names(chain):
    chain.must(BEN, BODY)
    assert chain.agent(ANNA).delegated == 500
    lent = get_delegation(chain.state, BEN.address, ANNA.address)
    assert lent is not None
    assert (lent.amount, lent.beneficiary) == (500, CARLA.address)
    assert get_stake(chain.state, BEN.address) == 500
    assert get_stake_total(chain.state) == chain.balance(STAKE_ESCROW) == BOND + 500
    assert get_allowance(chain.state, CARLA.address).stake == 500


def test_another_beneficiary_takes_over_the_whole(chain):
    chain.must(BEN, BODY)
    chain.must(BEN, msgspec.structs.replace(BODY, beneficiary=BEN.address))
    assert get_allowance(chain.state, CARLA.address).stake == 0
    assert get_allowance(chain.state, BEN.address).stake == 1_000


def test_an_agent_raises_its_own_bond(chain):
    chain.must(ANNA, Delegate(ANNA.address, 7, METERS.address))
    assert chain.agent(ANNA).bond == BOND + 7
    assert chain.agent(ANNA).delegated == 0
    assert get_allowance(chain.state, METERS.address).stake == BOND + 7


def test_a_bond_benefits_nobody_else(chain):
    assert_failed(chain.run(ANNA, Delegate(ANNA.address, 7, BEN.address)), "malformed")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"agent": BEN.address}, "unknown-agent"),
        ({"amount": 0}, "out-of-range"),
        ({"amount": 10**17}, "insufficient-funds"),
    ],
)
def test_one_field_that_is_wrong_is_refused(chain, changes, reason):
    assert_failed(chain.run(BEN, msgspec.structs.replace(BODY, **changes)), reason)
    assert get_stake(chain.state, BEN.address) == 0


@pytest.mark.parametrize("changes", [{"is_tombstoned": True}, {"bond": 0}])
def test_nobody_lends_to_an_agent_that_does_not_stand(chain, changes):
    chain.change_agent(ANNA, **changes)
    assert_failed(chain.run(BEN, BODY), "unknown-agent")
