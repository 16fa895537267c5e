"""Rules of RegisterAgent."""

import msgspec
import pytest

from ledger.crypto.domains import NO_HASH
from ledger.crypto.hashing import sha256
from ledger.params import AGENT_CANDIDATES_MAX
from ledger.state.accounts import STAKE_ESCROW
from ledger.state.agents import get_agent_nodes
from ledger.state.keys import AGENT_INDEX_KEY
from ledger.state.loading import save
from ledger.state.overlay import Overlay
from ledger.state.stake import get_allowance, get_stake
from ledger.types.stake import AgentIndex
from ledger.types.transaction import RegisterAgent, Undelegate
from tests.support.stake_chain import BOND, StakeChain
from tests.support.transactions import (
    ANNA,
    BEN,
    PROPOSER,
    Person,
    assert_failed,
    register_node,
    write,
)

VOTES, METERS = Person("votes"), Person("meters")
BODY = RegisterAgent(BOND, sha256(b"onion"))


@pytest.fixture
def chain() -> StakeChain:
    chain = StakeChain(PROPOSER, people=(ANNA, BEN))
    chain.must(ANNA, register_node(ANNA, VOTES, METERS))
    return chain


def test_a_node_with_a_bond_stands_for_election(chain):
    before = chain.balance(ANNA)
    chain.must(ANNA, BODY)
    agent = chain.agent(ANNA)
    assert (agent.bond, agent.onion, agent.is_tombstoned) == (BOND, BODY.onion, False)
    assert ANNA.address in get_agent_nodes(chain.state)
    assert chain.balance(STAKE_ESCROW) == get_stake(chain.state, ANNA.address) == BOND
    assert get_allowance(chain.state, METERS.address).stake == BOND
    assert chain.balance(ANNA) < before - BOND


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"bond": BOND - 1}, "out-of-range"),
        ({"bond": 10**17}, "insufficient-funds"),
        ({"onion": NO_HASH}, "malformed"),
    ],
)
def test_one_field_that_is_wrong_is_refused(chain, changes, reason):
    assert_failed(chain.run(ANNA, msgspec.structs.replace(BODY, **changes)), reason)
    assert ANNA.address not in get_agent_nodes(chain.state)


def test_who_is_no_node_is_refused(chain):
    assert_failed(chain.run(BEN, BODY), "not-owner")


def test_an_agent_registers_once(chain):
    chain.must(ANNA, BODY)
    assert_failed(chain.run(ANNA, BODY), "already-exists")


def test_an_agent_that_left_may_return_with_its_record(chain):
    chain.must(ANNA, BODY)
    chain.must(ANNA, Undelegate(ANNA.address, BOND))
    chain.change_agent(ANNA, jailed_until_ms=7)
    chain.must(ANNA, BODY)
    assert chain.agent(ANNA).jailed_until_ms == 7


def test_who_is_barred_does_not_return(chain):
    chain.must(ANNA, BODY)
    chain.change_agent(ANNA, is_tombstoned=True, bond=0)
    assert_failed(chain.run(ANNA, BODY), "not-owner")


def test_there_are_places_for_so_many_candidates(chain):
    overlay = Overlay(chain.state)
    others = sorted(sha256(b"%d" % number) for number in range(AGENT_CANDIDATES_MAX - 1))
    save(overlay, AGENT_INDEX_KEY, AgentIndex(tuple(sorted([PROPOSER.address, *others]))))
    write(chain.state, overlay.writes)
    assert_failed(chain.run(ANNA, BODY), "full")
