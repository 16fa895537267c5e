"""Rules of VoteAgents: votes follow the balance."""

import math

import pytest

from ledger.params import VOTE_CHOICES_MAX, WEEK_MS
from ledger.state.keys import tally_key
from ledger.state.votes import (
    BREADTH,
    BREADTH_ONE,
    DECAY,
    compute_decayed,
    compute_vote_weight,
    compute_votes,
    get_vote,
)
from ledger.types.transaction import Transfer, VoteAgents
from tests.support.stake_chain import StakeChain
from tests.support.transactions import ANNA, BEN, CARLA, PROPOSER, assert_failed, check

BOTH = VoteAgents((ANNA.address, PROPOSER.address))


@pytest.fixture
def chain() -> StakeChain:
    chain = StakeChain(PROPOSER, people=(ANNA, BEN, CARLA), epoch_blocks=1_000)
    chain.enlist(ANNA)
    chain.change_agent(PROPOSER, bond=1)
    return chain


def votes(chain: StakeChain, agent: bytes) -> int:
    return compute_votes(chain.state, agent, chain.time_ms // WEEK_MS)


def test_the_whole_balance_counts_for_each_choice(chain):
    chain.must(BEN, BOTH)
    weight = compute_vote_weight(chain.balance(BEN), 2)
    assert votes(chain, ANNA.address) == votes(chain, PROPOSER.address) == weight > 0


def test_votes_follow_the_balance_in_the_same_block(chain):
    chain.must(BEN, BOTH)
    chain.must(BEN, Transfer(CARLA.address, 10**11))
    assert votes(chain, ANNA.address) == compute_vote_weight(chain.balance(BEN), 2)
    chain.must(CARLA, Transfer(BEN.address, 5 * 10**10))
    assert votes(chain, ANNA.address) == compute_vote_weight(chain.balance(BEN), 2)


def test_a_vote_and_a_payment_in_one_block_count_what_is_left(chain):
    chain.block(check(BEN, BOTH), check(BEN, Transfer(CARLA.address, 10**11), nonce=1))
    assert votes(chain, ANNA.address) == compute_vote_weight(chain.balance(BEN), 2)


def test_a_new_vote_replaces_the_old_one(chain):
    chain.must(BEN, BOTH)
    chain.must(BEN, VoteAgents((ANNA.address,)))
    assert votes(chain, PROPOSER.address) == 0
    assert tally_key(PROPOSER.address) not in chain.state
    assert votes(chain, ANNA.address) == compute_vote_weight(chain.balance(BEN), 1)


def test_no_choices_withdraw_the_vote(chain):
    chain.must(BEN, BOTH)
    chain.must(BEN, VoteAgents(()))
    assert get_vote(chain.state, BEN.address) is None
    assert votes(chain, ANNA.address) == 0
    chain.must(BEN, Transfer(CARLA.address, 1))
    assert votes(chain, ANNA.address) == 0


def test_a_vote_halves_in_a_year_until_it_is_cast_again(chain):
    chain.must(BEN, BOTH)
    fresh = votes(chain, ANNA.address)
    chain.time_ms += 52 * WEEK_MS
    assert votes(chain, ANNA.address) == fresh // 2
    chain.must(BEN, BOTH)
    assert votes(chain, ANNA.address) == compute_vote_weight(chain.balance(BEN), 2)


@pytest.mark.parametrize(
    ("choices", "reason"),
    [
        ((ANNA.address, ANNA.address), "duplicate"),
        ((BEN.address,), "unknown-agent"),
    ],
)
def test_choices_that_cannot_stand_are_refused(chain, choices, reason):
    assert_failed(chain.run(BEN, VoteAgents(choices)), reason)
    assert get_vote(chain.state, BEN.address) is None


@pytest.mark.parametrize("changes", [{"is_tombstoned": True}, {"bond": 0}])
def test_nobody_votes_for_who_does_not_stand(chain, changes):
    chain.change_agent(ANNA, **changes)
    assert_failed(chain.run(BEN, BOTH), "unknown-agent")


def test_the_tables_are_what_their_formulas_say():
    assert list(DECAY) == [round(2**32 * 2 ** (-week / 52)) for week in range(53)]
    sines = [math.sin(math.pi * k / (2 * VOTE_CHOICES_MAX)) for k in range(VOTE_CHOICES_MAX + 1)]
    assert list(BREADTH) == [round(BREADTH_ONE * sine**2) for sine in sines]


def test_decay_never_rises_and_ends():
    weights = [compute_decayed(10**15, week) for week in range(530)]
    assert weights == sorted(weights, reverse=True)
    assert weights[0] == 10**15
    assert weights[104] == 10**15 // 4
    assert weights[521] == 0
    assert compute_decayed(10**15, -1) == 10**15
