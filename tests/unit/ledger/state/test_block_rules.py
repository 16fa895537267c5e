"""Epochs from block to block: leaders, reveals, rewards, penalties, hand-over."""

import pytest

from ledger.consensus.certificate import encode_signers
from ledger.crypto.domains import NO_HASH, next_beacon
from ledger.crypto.hashing import sha256
from ledger.errors import OutdatedError, Reason, Rejected
from ledger.params import HOUR_MS, SSP_BASE_UNITS
from ledger.state.accounts import REWARD_POOL
from ledger.state.epochs import compute_leader_index, get_agent_set, get_epoch, get_past_epoch
from ledger.state.transition import select_transactions
from ledger.state.work import count_missed
from ledger.types.agent_set import hash_agent_set
from ledger.types.stake import PenaltyCause, PenaltyKind
from ledger.types.transaction import Anchor, RegisterDevice, Transfer, Unjail
from tests.support.stake_chain import BOND, MONEY, Onion, StakeChain, make_seated_chain, people
from tests.support.transactions import ANNA, BEN, Person, assert_applied, assert_failed, check

AGENTS = people(4)
REWARD = SSP_BASE_UNITS // 10


@pytest.fixture
def chain() -> StakeChain:
    return make_seated_chain(AGENTS, ANNA, BEN)


def leader(chain: StakeChain, slot: int) -> bytes:
    epoch = get_epoch(chain.state)
    return epoch.current[compute_leader_index(epoch, slot)]


class TestPlace:
    """Whether a block may stand where it wants to stand."""

    @pytest.mark.parametrize(
        "changes",
        [
            {"epoch": 1},
            {"epoch": 3},
            {"slot": 0},
            {"parent_slot": 1, "slot": 2},
            {"proposer": bytes(32)},
            {"reveal": sha256(b"guess")},
            {"reveal": NO_HASH},
            {"parent_signers": encode_signers([0])},
        ],
    )
    def test_one_field_that_is_wrong_makes_the_first_block_of_an_epoch_bad(self, chain, changes):
        assert not isinstance(chain.try_block(), Rejected)
        refused = chain.try_block(**changes)
        assert isinstance(refused, Rejected)
        assert refused.reason is Reason.BAD_BLOCK

    @pytest.mark.parametrize(
        "changes", [{"slot": 1}, {"parent_slot": 0}, {"parent_signers": encode_signers([4])}]
    )
    def test_one_field_that_is_wrong_makes_a_later_block_bad(self, chain, changes):
        chain.block()
        assert not isinstance(chain.try_block(), Rejected)
        assert isinstance(chain.try_block(**changes), Rejected)

    def test_a_block_of_ours_that_cannot_stand_here_is_given_up(self, chain):
        context = chain.context(epoch=1)
        with pytest.raises(OutdatedError, match="of epoch 1"):
            select_transactions(chain.state, context, [], chain.executor)

    def test_every_agent_leads_once_a_lap(self, chain):
        for lap in range(5):
            leaders = {leader(chain, 4 * lap + place) for place in range(1, 5)}
            assert leaders == {agent.address for agent in AGENTS}

    def test_an_agent_without_an_onion_reveals_nothing(self):
        chain = StakeChain(*AGENTS)
        chain.block()
        assert isinstance(chain.try_block(reveal=sha256(b"x")), Rejected)


class TestHandOver:
    """How one epoch follows another."""

    def test_an_end_block_names_the_next_set_and_everything_begins_anew(self, chain):
        before = get_epoch(chain.state)
        chain.end_epoch()
        after = get_epoch(chain.state)
        assert after.epoch == before.epoch + 1
        assert (after.root_height, after.root_time_ms) == (chain.height, chain.time_ms)
        assert after.current == before.following
        assert chain.last_set == get_agent_set(chain.state)
        assert chain.last_set is not None
        assert chain.last_set.order_seed == chain.running().beacon == after.order_seed
        assert len(hash_agent_set(chain.last_set)) == 32
        assert chain.height - before.root_height == 8

    def test_time_ends_an_epoch_as_well(self, chain):
        chain.block()
        chain.time_ms += 6 * HOUR_MS
        epoch = chain.epoch
        chain.block()
        assert chain.epoch == epoch + 1

    def test_every_reveal_moves_the_beacon(self, chain):
        before = chain.running().beacon
        context = chain.context()
        chain.block()
        assert chain.running().beacon == next_beacon(before, context.reveal)
        assert chain.agent(context.proposer).onion == context.reveal

    def test_a_new_agent_sits_two_epochs_after_its_election(self, chain):
        joined = chain.epoch
        chain.enlist(ANNA)
        chain.end_epoch()
        assert ANNA.address not in chain.seated
        assert ANNA.address in get_epoch(chain.state).following
        chain.end_epoch()
        assert chain.epoch == joined + 2
        assert ANNA.address in chain.seated
        assert chain.agent(ANNA).seated_since == joined + 2
        chain.end_epochs(2)
        assert chain.agent(ANNA).blocks_total > 0

    def test_a_chain_of_one_agent_goes_on_for_ever(self):
        chain = StakeChain(ANNA)
        chain.end_epochs(5)
        assert chain.seated == (ANNA.address,)

    def test_the_sets_of_old_epochs_are_forgotten_when_evidence_no_longer_counts(self, chain):
        assert get_past_epoch(chain.state, 0) is not None
        chain.change_parameters(evidence_age_ms=HOUR_MS)
        chain.time_ms += 2 * HOUR_MS
        chain.end_epochs(2)
        assert get_past_epoch(chain.state, 0) is None
        assert get_past_epoch(chain.state, chain.epoch) is not None


class TestRewards:
    """Who earns what, and when it is paid."""

    def test_a_blocks_reward_is_shared_and_paid_as_the_epoch_ends(self, chain):
        before = {agent.address: chain.balance(agent) for agent in AGENTS}
        last = leader(chain, 8)
        pool = chain.balance(REWARD_POOL)
        root_proposer = chain.running().last_proposer
        assert root_proposer is not None
        chain.block()
        # The end block's reward: seven tenths for its proposer; nobody is named as its signers.
        root_share = REWARD * 7 // 10
        assert chain.balance(root_proposer) == before[root_proposer] + root_share
        chain.end_epoch()
        earned = {node: chain.balance(node) - had for node, had in before.items()}
        assert sum(earned.values()) == pool - chain.balance(REWARD_POOL)
        # Seven rewards within the epoch: each agent signs all, and proposes two (the last: one).
        each = 7 * (REWARD * 3 // 10 // 4)
        for agent in AGENTS:
            blocks = 1 if agent.address == last else 2
            expected = each + blocks * REWARD * 7 // 10
            if agent.address == root_proposer:
                expected += root_share
            assert earned[agent.address] == expected

    def test_who_names_fewer_signers_earns_less(self, chain):
        chain.block()
        chain.signers = (0, 1, 2)
        chain.block()
        proposer = chain.running().last_proposer
        assert proposer is not None
        seat = chain.seated.index(proposer)
        chain.signers = None
        earned = chain.running().earned[seat]
        chain.block()
        gained = chain.running().earned[seat] - earned
        assert gained == REWARD * 7 // 10 * 3 // 4 + REWARD * 3 // 10 // 4

    def test_skipped_slots_make_no_reward_larger(self, chain):
        chain.block()
        chain.block(skip=2)
        plain = sum(chain.running().earned)
        chain.block()
        assert sum(chain.running().earned) - plain <= REWARD

    def test_an_empty_pool_pays_nothing(self):
        chain = StakeChain(*AGENTS, reward_pool=REWARD + 5)
        chain.end_epochs(2)
        assert 0 <= chain.balance(REWARD_POOL) < REWARD
        assert sum(chain.balance(agent) for agent in AGENTS) <= REWARD + 5


class TestPenalties:
    """Who misses slots or votes is told why, before it hurts."""

    def miss(self, chain: StakeChain, absent: Person) -> None:
        """Run an epoch in which one agent leads no slot and signs nothing."""
        running = chain.epoch
        seat = chain.seated.index(absent.address)
        chain.signers = tuple(one for one in range(len(chain.seated)) if one != seat)
        while chain.epoch == running:
            skip = 0
            while chain.context(skip=skip).proposer == absent.address:
                skip += 1
            chain.block(skip=skip)
        chain.signers = None

    def test_an_absent_agent_is_first_put_on_probation_and_then_jailed(self, chain):
        absent = AGENTS[0]
        decided = chain.epoch
        self.miss(chain, absent)
        (penalty,) = chain.agent(absent).penalties
        assert (penalty.kind, penalty.cause) == (PenaltyKind.PROBATION, PenaltyCause.MISSED_SLOTS)
        assert (penalty.announced_epoch, penalty.bites_epoch) == (decided, decided + 2)
        assert chain.agent(absent).probation_until_epoch == decided + 8
        assert absent.address in chain.seated
        self.miss(chain, absent)
        agent = chain.agent(absent)
        assert (agent.penalties[-1].kind, agent.penalties[-1].cause) == (
            PenaltyKind.JAIL,
            PenaltyCause.ABSENT,
        )
        assert agent.jailed_until_ms == chain.time_ms + HOUR_MS
        assert absent.address in chain.seated  # frozen before; it is out from the next epoch on
        chain.end_epoch()
        assert absent.address not in chain.seated
        assert chain.agent(absent).bond == BOND

    def test_who_leaves_jail_is_elected_again_and_the_next_jail_is_longer(self, chain):
        absent = AGENTS[0]
        self.miss(chain, absent)
        self.miss(chain, absent)
        chain.time_ms += HOUR_MS
        chain.must(absent, Unjail())
        chain.end_epochs(3)
        assert absent.address in chain.seated
        self.miss(chain, absent)
        self.miss(chain, absent)
        assert chain.agent(absent).jailed_until_ms == chain.time_ms + 2 * HOUR_MS

    def test_who_signs_little_is_put_on_probation(self, chain):
        seat = chain.seated.index(AGENTS[1].address)
        chain.signers = tuple(one for one in range(4) if one != seat)
        chain.end_epoch()
        (penalty,) = chain.agent(AGENTS[1]).penalties
        assert penalty.cause is PenaltyCause.LOW_PARTICIPATION
        assert all(not chain.agent(other).penalties for other in (AGENTS[0], *AGENTS[2:]))

    def test_one_missed_slot_is_no_offence(self, chain):
        chain.block(skip=1)
        chain.end_epoch()
        assert all(not chain.agent(agent).penalties for agent in AGENTS)

    def test_a_lone_agent_is_never_jailed(self):
        chain = StakeChain(ANNA)
        for _ in range(3):
            chain.end_epoch(skip=9)
        assert chain.agent(ANNA).jailed_until_ms is None
        assert chain.agent(ANNA).penalties[-1].kind is PenaltyKind.PROBATION

    def test_misses_are_counted_in_time_that_no_gap_can_raise(self, chain):
        epoch = get_epoch(chain.state)
        slow = [0, 0, 0, 0]
        for slot in range(3, 103):
            slow[compute_leader_index(epoch, slot)] += 1
        assert count_missed(epoch, 3, 103) == tuple(slow)
        assert count_missed(epoch, 3, 5) == tuple(
            sum(compute_leader_index(epoch, slot) == seat for slot in (3, 4)) for seat in range(4)
        )
        assert sum(count_missed(epoch, 1, 4 * 10**15 + 1)) == 4 * 10**15


class TestFreeMetering:
    """Stake lets its beneficiary meter without coins."""

    DEVICE = sha256(b"device")

    def anchor(self, number: int) -> Anchor:
        return Anchor(self.DEVICE, sha256(b"p"), 1 + number, 1, 1, 2, sha256(b"r"), bytes(32))

    def test_a_metering_key_without_coins_uses_up_its_allowance(self, chain):
        meters = Person("agent 0's meters")
        chain.change_parameters(free_anchor_stake=BOND // 2)
        assert chain.balance(meters) == 0
        body = RegisterDevice(self.DEVICE, sha256(b"p"))
        outcomes = chain.block(
            check(meters, body, fee=0), check(meters, self.anchor(0), fee=0, nonce=1)
        )
        assert [outcome.fee_paid for outcome in outcomes] == [0, 0]
        for outcome in outcomes:
            assert_applied(outcome)
        refused = chain.try_block(check(meters, self.anchor(1), fee=0, nonce=2))
        assert isinstance(refused, Rejected)
        assert "no free metering" in refused.detail
        chain.end_epoch()
        (outcome,) = chain.block(check(meters, self.anchor(1), fee=0, nonce=2))
        assert outcome.fee_paid == 0
        assert_failed(outcome, "out-of-sequence")  # it names no previous anchor; free all the same

    def test_nothing_else_is_free(self, chain):
        refused = chain.try_block(check(ANNA, Transfer(BEN.address, 1), fee=0))
        assert isinstance(refused, Rejected)
        assert "fee-too-low" in refused.detail

    def test_without_stake_metering_costs_a_fee(self, chain):
        refused = chain.try_block(check(ANNA, self.anchor(0), fee=0))
        assert isinstance(refused, Rejected)


def test_a_transfer_to_an_address_of_the_ledger_itself_fails(chain):
    outcome = chain.run(ANNA, Transfer(REWARD_POOL, 1))
    assert_failed(outcome, "out-of-range")
    assert chain.balance(ANNA) < MONEY


def test_an_onion_opens_layer_by_layer():
    onion = Onion("x")
    first = onion.reveal(onion.commitment)
    assert sha256(first) == onion.commitment
    assert sha256(onion.reveal(first)) == first
