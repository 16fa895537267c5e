"""The state in words: every standing has its reason."""

import pytest

from ledger.params import HOUR_MS
from ledger.state.overview import (
    compute_gini_permille,
    compute_nakamoto,
    describe_penalty,
    describe_stake,
    list_agents,
    list_parameters,
    list_proposals,
    measure,
)
from ledger.types.parameters import Parameters
from ledger.types.stake import Change, Penalty, PenaltyCause, PenaltyKind
from ledger.types.transaction import Delegate, Propose, Undelegate, VoteAgents
from tests.support.stake_chain import BOND, StakeChain, make_seated_chain, people
from tests.support.transactions import ANNA, BEN

AGENTS = people(4)


@pytest.fixture
def chain() -> StakeChain:
    return make_seated_chain(AGENTS, ANNA, BEN)


def standing(chain: StakeChain, node: bytes) -> str:
    found = {one.node: one.standing for one in list_agents(chain.state, chain.time_ms)}
    return found[node]


def test_agents_are_listed_by_weight_with_the_work_of_the_epoch(chain):
    chain.must(BEN, Delegate(AGENTS[2].address, 10**11, BEN.address))
    first, *_ = listed = list_agents(chain.state, chain.time_ms)
    assert len(listed) == 4
    assert first.node == AGENTS[2].address
    assert first.weight == BOND + 10**11
    assert first.standing == "seated"
    assert sum(one.work.proposed for one in listed if one.work) == 1
    metrics = measure(listed, chain.epoch)
    assert metrics.nakamoto in (1, 2)
    assert 0 <= metrics.gini_permille < 1_000


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"is_tombstoned": True}, PenaltyKind.TOMBSTONE, "barred for ever (missed-slots)"),
        ({"jailed_until_ms": HOUR_MS}, PenaltyKind.JAIL, "in jail until 1970-01-01T01:00"),
        ({"bond": 5}, PenaltyKind.JAIL, "bond below 100000000000 base units"),
        ({"probation_until_epoch": 9}, PenaltyKind.PROBATION, "seated, on probation until epoch 9"),
    ],
)
def test_every_standing_has_its_reason(chain, changes, kind, words):
    penalty = Penalty(kind, PenaltyCause.MISSED_SLOTS, 1, 3, 9)
    chain.change_agent(AGENTS[0], penalties=(penalty,), **changes)
    assert words in standing(chain, AGENTS[0].address)


def test_who_comes_and_who_goes_is_said(chain):
    chain.enlist(ANNA)
    assert standing(chain, ANNA.address) == "waits for a seat"
    chain.end_epoch()
    assert standing(chain, ANNA.address) == f"takes a seat in epoch {chain.epoch + 1}"


def test_a_penalty_is_one_line():
    for kind in PenaltyKind:
        line = describe_penalty(Penalty(kind, PenaltyCause.ABSENT, 1, 3, 5))
        assert line.startswith("absent: ")
        assert "announced in epoch 1, from epoch 3 on" in line


def test_parameters_and_proposals_are_listed(chain):
    rows = {name: (value, least, most) for name, value, least, most in list_parameters(chain.state)}
    assert set(rows) == set(Parameters.__struct_fields__)
    assert all(least <= value <= most for value, least, most in rows.values())
    chain.must(BEN, Delegate(AGENTS[0].address, 10**10, BEN.address))
    chain.must(BEN, Propose(10**10, "t", (Change("missed_min", 3),), 10**6))
    ((_, proposal),) = list_proposals(chain.state)
    assert proposal.proposer == BEN.address


def test_an_accounts_stake_is_described(chain):
    chain.must(BEN, Delegate(AGENTS[0].address, 10**10, BEN.address))
    chain.must(BEN, Undelegate(AGENTS[0].address, 10**9))
    chain.must(BEN, VoteAgents((AGENTS[1].address,)))
    found = describe_stake(chain.state, BEN.address)
    assert found.stake == 9 * 10**9
    assert [entry.amount for entry in found.unbonding] == [10**9]
    assert found.choices == (AGENTS[1].address,)
    assert found.free_left == 90


def test_how_spread_power_is():
    assert compute_nakamoto([1] * 99) == 34
    assert compute_nakamoto([100, 1, 1]) == 1
    assert compute_nakamoto([]) == 0
    assert compute_gini_permille([5, 5, 5]) == 0
    assert compute_gini_permille([0, 0, 0, 10]) == 750
    assert compute_gini_permille([]) == 0
