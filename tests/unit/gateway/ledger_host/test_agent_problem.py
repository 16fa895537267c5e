"""An agent under a penalty: its operator hears of it, and what to do about it."""

from dataclasses import replace

import pytest

from gateway.ledger_host.agent_problem import find_agent_problem
from gateway.ledger_host.stake_replies import build_agents_reply
from ledger.params import HOUR_MS
from ledger.state.overview import list_agents
from ledger.types.stake import Penalty, PenaltyCause, PenaltyKind
from tests.support.stake_chain import StakeChain, make_seated_chain, people
from tests.support.transactions import ANNA, BEN

AGENTS = people(4)


@pytest.fixture
def chain() -> StakeChain:
    return make_seated_chain(AGENTS, ANNA, BEN)


def problem_of(chain: StakeChain, node: bytes) -> str:
    agents = build_agents_reply(chain.state, chain.time_ms).agents
    return next(one.problem for one in agents if one.node == node.hex())


@pytest.mark.parametrize(
    ("changes", "kind", "standing", "advice"),
    [
        ({"is_tombstoned": True}, PenaltyKind.TOMBSTONE, "barred for ever", "agent no more"),
        (
            {"jailed_until_ms": HOUR_MS},
            PenaltyKind.JAIL,
            "in jail until",
            "`smartshare chain unjail`",
        ),
        ({"probation_until_epoch": 9}, PenaltyKind.PROBATION, "on probation", "look at its clock"),
    ],
)
def test_a_penalty_is_told_with_its_cause_and_what_to_do(chain, changes, kind, standing, advice):
    penalty = Penalty(kind, PenaltyCause.MISSED_SLOTS, 1, 3, 9)
    chain.change_agent(AGENTS[0], penalties=(penalty,), **changes)
    problem = problem_of(chain, AGENTS[0].address)
    assert standing in problem
    assert "(missed-slots)" in problem
    assert advice in problem
    assert not problem_of(chain, AGENTS[1].address)


def test_a_probation_that_is_over_is_no_problem(chain):
    chain.change_agent(AGENTS[0], probation_until_epoch=chain.epoch)
    assert not problem_of(chain, AGENTS[0].address)


def test_who_retired_has_no_work_to_be_kept_from(chain):
    chain.change_agent(AGENTS[0], jailed_until_ms=HOUR_MS)
    one = next(a for a in list_agents(chain.state, chain.time_ms) if a.node == AGENTS[0].address)
    assert find_agent_problem(one, chain.epoch)
    assert not find_agent_problem(replace(one, is_retired=True), chain.epoch)
