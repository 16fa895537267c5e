"""Rules of Propose and CastBallot, and how proposals end."""

import msgspec
import pytest

from ledger.crypto import domains
from ledger.params import OPEN_PROPOSALS_MAX, SSP_BASE_UNITS
from ledger.state.accounts import REWARD_POOL, get_account
from ledger.state.agents import get_parameters
from ledger.state.governance import get_ballot, get_proposal, get_unsettled_proposals
from ledger.types.stake import BallotChoice, Change, Proposal, ProposalStatus
from ledger.types.transaction import CastBallot, Delegate, Propose
from tests.support.stake_chain import MONEY, StakeChain
from tests.support.transactions import ANNA, BEN, CARLA, PROPOSER, assert_failed

DEPOSIT = 100 * SSP_BASE_UNITS
STAKE = 1_000 * SSP_BASE_UNITS
BODY = Propose(DEPOSIT, "Shorter epochs", (Change("epoch_blocks", 4),), activation_height=40)
DAYS_7_MS = 7 * 86_400_000
YES, NO, ABSTAIN = BallotChoice.YES, BallotChoice.NO, BallotChoice.ABSTAIN


@pytest.fixture
def chain() -> StakeChain:
    chain = StakeChain(PROPOSER, people=(ANNA, BEN, CARLA))
    chain.enlist(ANNA)
    for person in (BEN, CARLA):
        chain.must(person, Delegate(ANNA.address, STAKE, person.address))
    return chain


def propose(chain: StakeChain, body: Propose = BODY) -> bytes:
    nonce = get_account(chain.state, BEN.address).nonce
    chain.must(BEN, body)
    return domains.proposal_id(BEN.address, nonce)


def read(chain: StakeChain, proposal_id: bytes) -> Proposal:
    proposal = get_proposal(chain.state, proposal_id)
    assert proposal is not None
    return proposal


def close(chain: StakeChain, proposal_id: bytes) -> None:
    chain.time_ms = max(chain.time_ms, read(chain, proposal_id).closes_ms)
    chain.end_epoch()


def test_a_proposal_that_stake_accepts_takes_effect_at_its_height(chain):
    proposal_id = propose(chain)
    for person in (ANNA, BEN, CARLA):
        chain.must(person, CastBallot(proposal_id, YES))
    before = chain.balance(BEN)
    close(chain, proposal_id)
    assert read(chain, proposal_id).status is ProposalStatus.ACCEPTED
    assert chain.balance(BEN) == before + DEPOSIT
    assert get_parameters(chain.state).epoch_blocks == 6
    while chain.height < 39:
        assert get_parameters(chain.state).epoch_blocks == 6
        chain.block()
    chain.end_epoch()
    assert read(chain, proposal_id).status is ProposalStatus.ACTIVE
    assert get_parameters(chain.state).epoch_blocks == 4
    assert get_unsettled_proposals(chain.state) == ()


@pytest.mark.parametrize(
    ("ballots", "status", "deposit_to"),
    [
        ((YES, YES, NO), ProposalStatus.REJECTED, BEN.address),  # 2/3 is not 67 %
        ((YES, YES, ABSTAIN), ProposalStatus.ACCEPTED, BEN.address),
        ((ABSTAIN, ABSTAIN, ABSTAIN), ProposalStatus.REJECTED, BEN.address),
        ((NO, NO, NO), ProposalStatus.REJECTED, BEN.address),
        ((YES,), ProposalStatus.REJECTED, REWARD_POOL),  # a third is below the turnout
        ((), ProposalStatus.REJECTED, REWARD_POOL),
    ],
)
def test_how_ballots_decide(chain, ballots, status, deposit_to):
    chain.change_parameters(block_reward=0)
    chain.end_epoch()
    proposal_id = propose(chain)
    for person, choice in zip((ANNA, BEN, CARLA), ballots, strict=False):
        chain.must(person, CastBallot(proposal_id, choice))
    before = chain.balance(deposit_to)
    close(chain, proposal_id)
    assert read(chain, proposal_id).status is status
    assert chain.balance(deposit_to) >= before + DEPOSIT


def test_a_second_ballot_replaces_the_first(chain):
    proposal_id = propose(chain)
    chain.must(BEN, CastBallot(proposal_id, YES))
    chain.must(BEN, CastBallot(proposal_id, NO))
    proposal = read(chain, proposal_id)
    assert (proposal.yes, proposal.no, proposal.abstain) == (0, STAKE, 0)
    ballot = get_ballot(chain.state, proposal_id, BEN.address)
    assert ballot is not None
    assert (ballot.choice, ballot.stake) == (NO, STAKE)


def test_ballots_that_do_not_count_are_refused(chain):
    proposal_id = propose(chain)
    assert_failed(chain.run(BEN, CastBallot(bytes(32), YES)), "unknown-proposal")
    chain.time_ms += DAYS_7_MS
    assert_failed(chain.run(BEN, CastBallot(proposal_id, YES)), "too-late")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"deposit": DEPOSIT - 1}, "out-of-range"),
        ({"deposit": MONEY}, "insufficient-funds"),
        ({"title": "two\nlines"}, "malformed"),
        ({"changes": (Change("epoch_blocks", 0),)}, "out-of-range"),
        ({"changes": (Change("epoch_length", 5),)}, "out-of-range"),
        ({"changes": (Change("epoch_blocks", 5), Change("epoch_blocks", 6))}, "out-of-range"),
        ({"changes": (Change("unbonding_ms", 1_000),)}, "out-of-range"),
        ({"changes": (Change("protocol_version", 1),)}, "out-of-range"),
        ({"activation_height": 1}, "out-of-range"),
    ],
)
def test_one_field_that_is_wrong_is_refused(chain, changes, reason):
    assert_failed(chain.run(BEN, msgspec.structs.replace(BODY, **changes)), reason)
    assert get_unsettled_proposals(chain.state) == ()


def test_who_has_no_stake_neither_proposes_nor_votes(chain):
    proposal_id = propose(chain)
    stranger = PROPOSER
    chain.fund(stranger)
    assert_failed(chain.run(stranger, BODY), "not-owner")
    assert_failed(chain.run(stranger, CastBallot(proposal_id, YES)), "not-owner")


def test_so_many_proposals_may_be_unsettled(chain):
    chain.change_parameters(proposal_deposit=0)
    body = msgspec.structs.replace(BODY, deposit=0, activation_height=10_000)
    for _ in range(OPEN_PROPOSALS_MAX):
        chain.must(BEN, body)
    assert_failed(chain.run(BEN, body), "full")


def test_what_no_longer_fits_fails_as_a_whole(chain):
    proposal_id = propose(chain)
    for person in (ANNA, BEN, CARLA):
        chain.must(person, CastBallot(proposal_id, YES))
    close(chain, proposal_id)
    chain.change_parameters(missed_min=5_000)  # no value that a vote could have set
    while chain.height < 40:
        chain.block()
    chain.end_epoch()
    assert read(chain, proposal_id).status is ProposalStatus.FAILED
    assert get_parameters(chain.state).epoch_blocks == 6
