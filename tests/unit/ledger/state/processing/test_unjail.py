"""Rules of Unjail and RecommitOnion."""

import pytest

from ledger.crypto.domains import NO_HASH
from ledger.crypto.hashing import sha256
from ledger.types.transaction import RecommitOnion, Unjail
from tests.support.stake_chain import SLOT_MS, Onion, StakeChain
from tests.support.transactions import ANNA, BEN, PROPOSER, assert_failed

ONION = sha256(b"a new one")


@pytest.fixture
def chain() -> StakeChain:
    chain = StakeChain(PROPOSER, people=(ANNA, BEN))
    chain.enlist(ANNA)
    return chain


def test_an_agent_leaves_jail_when_its_time_is_over(chain):
    until_ms = chain.time_ms + 2 * SLOT_MS
    chain.change_agent(ANNA, jailed_until_ms=until_ms)
    assert_failed(chain.run(ANNA, Unjail()), "too-early")
    assert chain.agent(ANNA).jailed_until_ms == until_ms
    chain.must(ANNA, Unjail())
    assert chain.agent(ANNA).jailed_until_ms is None


def test_who_is_not_in_jail_cannot_leave_it(chain):
    assert_failed(chain.run(ANNA, Unjail()), "unknown-agent")
    assert_failed(chain.run(BEN, Unjail()), "unknown-agent")


def test_a_new_onion_is_used_two_epochs_later(chain):
    chain.end_epoch()
    old = chain.agent(ANNA).onion
    noted = Onion("renewed")
    chain.must(ANNA, RecommitOnion(noted.commitment))
    agent = chain.agent(ANNA)
    assert (agent.onion, agent.onion_next, agent.onion_next_epoch) == (old, noted.commitment, 3)
    chain.end_epoch()
    assert chain.agent(ANNA).onion_next == noted.commitment
    chain.onions[ANNA.address].inside |= noted.inside
    chain.end_epoch()
    assert chain.agent(ANNA).onion_next == NO_HASH
    assert chain.agent(ANNA).onion == noted.commitment


def test_an_onion_is_a_commitment_of_an_agent_that_stands(chain):
    assert_failed(chain.run(ANNA, RecommitOnion(NO_HASH)), "malformed")
    assert_failed(chain.run(BEN, RecommitOnion(ONION)), "unknown-agent")
    chain.change_agent(ANNA, is_tombstoned=True)
    assert_failed(chain.run(ANNA, RecommitOnion(ONION)), "unknown-agent")
