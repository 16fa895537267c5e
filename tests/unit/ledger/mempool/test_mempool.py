"""The mempool: who may wait, who must go, and in which order blocks are filled."""

import pytest
from hypothesis import given, settings, strategies as st

from ledger.codec import canonical
from ledger.errors import Reason, Rejected
from ledger.mempool.limits import SENDER_NONCES_MAX
from ledger.mempool.mempool import Mempool
from ledger.params import BLOCK_GAS_MAX, CONTRACT_CALL_GAS_MAX, GAS_PER_FEE_UNIT
from ledger.state.keys import account_key
from ledger.state.transition import CheckedTransaction
from ledger.types.records import Account
from ledger.types.transaction import Body, CallContract, CreateCoin, Transfer
from tests.support.transactions import (
    ANNA,
    BEN,
    CARLA,
    FEE,
    HEIGHT,
    TIME_MS,
    Chain,
    Person,
    check,
)

MANY = 10**9  # more than any block or pool limit
BODY = Transfer(CARLA.address, 1)
SIZE = check(ANNA, BODY, nonce=1).size


def transfer(sender: Person, nonce: int = 0, fee: int = FEE, **changes: object):
    return check(sender, BODY, None, nonce=nonce, fee=fee, **changes)


@pytest.fixture
def chain():
    return Chain(ANNA, BEN, CARLA)


def add(pool: Mempool, chain: Chain, *transactions: CheckedTransaction) -> None:
    for transaction in transactions:
        assert pool.add(transaction, chain.state, HEIGHT, TIME_MS) is None


def refuse(pool: Mempool, chain: Chain, transaction: CheckedTransaction) -> Reason:
    before = (len(pool), pool.size_bytes, take(pool, chain))
    refusal = pool.add(transaction, chain.state, HEIGHT, TIME_MS)
    assert isinstance(refusal, Rejected)
    assert (len(pool), pool.size_bytes, take(pool, chain)) == before
    return refusal.reason


def take(pool: Mempool, chain: Chain) -> list[CheckedTransaction]:
    return pool.take(MANY, MANY, chain.state)


def test_what_was_added_is_taken_and_goes_on_waiting(chain):
    pool, only = Mempool(), transfer(ANNA)
    add(pool, chain, only)
    assert take(pool, chain) == take(pool, chain) == [only]
    assert (len(pool), pool.size_bytes, pool.get(only.id)) == (1, only.size, only)


def test_the_same_transaction_waits_once(chain):
    pool = Mempool()
    add(pool, chain, transfer(ANNA))
    assert refuse(pool, chain, transfer(ANNA)) is Reason.DUPLICATE


@pytest.mark.parametrize(
    ("transaction", "reason"),
    [
        (transfer(ANNA, fee=1_000), Reason.FEE_TOO_LOW),
        (transfer(ANNA, expiry_height=HEIGHT - 1), Reason.EXPIRED),
        (transfer(Person("poor")), Reason.INSUFFICIENT_FUNDS),
        (transfer(ANNA, nonce=SENDER_NONCES_MAX), Reason.BAD_NONCE),
    ],
)
def test_what_no_block_could_hold_does_not_wait(chain, transaction, reason):
    assert refuse(Mempool(), chain, transaction) is reason


def test_a_used_nonce_does_not_wait(chain):
    chain.apply(transfer(ANNA))
    assert refuse(Mempool(), chain, transfer(ANNA)) is Reason.BAD_NONCE


def test_nonces_may_come_in_any_order_and_are_taken_in_theirs(chain):
    pool = Mempool()
    queue = [transfer(ANNA, nonce) for nonce in range(4)]
    add(pool, chain, queue[2], queue[0], queue[3])
    assert take(pool, chain) == [queue[0]]
    assert pool.next_nonce(ANNA.address, chain.state) == 1
    add(pool, chain, queue[1])
    assert take(pool, chain) == queue
    assert pool.next_nonce(ANNA.address, chain.state) == 4


def test_a_sender_waits_with_a_limited_number(chain):
    pool = Mempool()
    add(pool, chain, *(transfer(ANNA, nonce) for nonce in range(SENDER_NONCES_MAX)))
    assert refuse(pool, chain, transfer(ANNA, SENDER_NONCES_MAX)) is Reason.BAD_NONCE


def test_a_replacement_offers_a_tenth_more(chain):
    pool, old = Mempool(), transfer(ANNA, fee=10_001)
    add(pool, chain, old)
    assert refuse(pool, chain, transfer(ANNA, fee=11_001)) is Reason.FEE_TOO_LOW
    new = transfer(ANNA, fee=11_002)
    add(pool, chain, new)
    assert take(pool, chain) == [new]
    assert (len(pool), pool.size_bytes, pool.get(old.id)) == (1, new.size, None)


def test_all_waiting_fees_of_a_payer_are_backed_by_funds(chain):
    payer = Person("payer")
    chain.state[account_key(payer.address)] = canonical.encode(Account(2 * FEE))
    pool = Mempool()
    coin = CreateCoin("PARK", "", 0, 1, 1)
    first, second, third = (check(sender, coin, payer=payer) for sender in (ANNA, BEN, CARLA))
    add(pool, chain, first, second)
    assert refuse(pool, chain, third) is Reason.INSUFFICIENT_FUNDS
    pool.remove(first.id)
    add(pool, chain, third)


def test_a_replacement_counts_once_against_the_payers_funds(chain):
    poor = Person("poor")
    chain.state[account_key(poor.address)] = canonical.encode(Account(30_000))
    pool = Mempool()
    add(pool, chain, transfer(poor, fee=20_000), transfer(poor, fee=29_000))
    assert refuse(pool, chain, transfer(poor, nonce=1, fee=2_000)) is Reason.INSUFFICIENT_FUNDS


def test_blocks_are_filled_in_rounds_the_best_fee_first(chain):
    pool = Mempool()
    anna = [transfer(ANNA, nonce, fee=50_000) for nonce in range(3)]
    ben = [transfer(BEN, 0, fee=20_000), transfer(BEN, 1, fee=90_000)]
    carla = [transfer(CARLA, 0, fee=30_000)]
    add(pool, chain, *anna, *ben, *carla)
    assert take(pool, chain) == [anna[0], carla[0], ben[0], ben[1], anna[1], anna[2]]
    assert pool.take(MANY, 2, chain.state) == [anna[0], carla[0]]


def test_equal_fees_are_taken_by_address(chain):
    pool = Mempool()
    add(pool, chain, *(transfer(person) for person in (ANNA, BEN, CARLA)))
    senders = [checked.transaction.sender for checked in take(pool, chain)]
    assert senders == sorted(senders)


def test_a_block_has_limited_bytes(chain):
    pool = Mempool()
    add(pool, chain, *(transfer(ANNA, nonce) for nonce in range(3)))
    room = transfer(ANNA, 0).size + transfer(ANNA, 1).size
    assert len(pool.take(room, MANY, chain.state)) == 2
    assert len(pool.take(room - 1, MANY, chain.state)) == 1
    assert pool.take(0, MANY, chain.state) == pool.take(MANY, 0, chain.state) == []


def test_a_block_has_limited_gas(chain):
    body = CallContract(bytes(32), "run", b"\x90", 0, CONTRACT_CALL_GAS_MAX)
    fee = FEE + CONTRACT_CALL_GAS_MAX // GAS_PER_FEE_UNIT
    fitting = BLOCK_GAS_MAX // CONTRACT_CALL_GAS_MAX
    pool = Mempool()
    add(pool, chain, *(check(ANNA, body, nonce=n, fee=fee) for n in range(fitting + 1)))
    assert len(take(pool, chain)) == fitting


def test_who_may_have_spent_everything_pays_no_fee_in_the_same_block(chain):
    balance = chain.account(ANNA).balance
    everything = check(ANNA, Transfer(BEN.address, balance - 2 * FEE), nonce=0)
    affordable, not_sure = transfer(ANNA, 1), transfer(ANNA, 2)
    pool = Mempool()
    add(pool, chain, everything, affordable, not_sure)
    assert take(pool, chain) == [everything, affordable]


def test_a_block_removes_its_transactions_and_what_used_the_same_nonces(chain):
    pool = Mempool()
    ours = [transfer(ANNA, nonce) for nonce in range(3)]
    add(pool, chain, *ours)
    others = [transfer(ANNA, 0, fee=FEE + 1), transfer(ANNA, 1)]
    chain.apply(*others)
    pool.prune(others, chain.state, HEIGHT, TIME_MS)
    assert take(pool, chain) == [ours[2]]
    assert len(pool) == 1


def test_a_block_voids_lower_nonces_too_even_if_their_block_was_never_shown(chain):
    pool = Mempool()
    add(pool, chain, transfer(ANNA, 0))
    unseen, shown = transfer(ANNA, 0, fee=FEE + 1), transfer(ANNA, 1)
    chain.apply(unseen)
    chain.apply(shown)
    pool.prune([shown], chain.state, HEIGHT, TIME_MS)
    assert len(pool) == 0


def test_what_expired_is_dropped(chain):
    pool = Mempool()
    early, late = transfer(ANNA, expiry_height=HEIGHT), transfer(BEN, expiry_height=HEIGHT + 1)
    add(pool, chain, early, late)
    pool.prune([], chain.state, HEIGHT - 1, TIME_MS)
    assert len(pool) == 2
    pool.prune([], chain.state, HEIGHT, TIME_MS)
    assert take(pool, chain) == [late]


def test_what_its_payer_can_no_longer_pay_is_dropped_cheapest_first(chain):
    pool = Mempool()
    cheap, dear = transfer(ANNA, 1, fee=20_000), transfer(ANNA, 2, fee=40_000)
    add(pool, chain, cheap, dear)
    spent = check(ANNA, Transfer(BEN.address, chain.account(ANNA).balance - FEE - 40_000))
    chain.apply(spent)
    pool.prune([spent], chain.state, HEIGHT, TIME_MS)
    assert (pool.get(cheap.id), pool.get(dear.id)) == (None, dear)


def test_when_full_a_better_fee_displaces_the_cheapest(chain):
    pool = Mempool(count_max=2)
    cheap, middle = transfer(ANNA, fee=10_000), transfer(BEN, fee=20_000)
    add(pool, chain, cheap, middle)
    assert refuse(pool, chain, transfer(CARLA, fee=10_000)) is Reason.FULL
    better = transfer(CARLA, fee=30_000)
    add(pool, chain, better)
    assert take(pool, chain) == [better, middle]


def test_the_last_of_the_cheapest_queue_goes_so_that_no_hole_opens(chain):
    pool = Mempool(count_max=3)
    queue = [transfer(ANNA, nonce, fee=fee) for nonce, fee in enumerate((5_000, 9_000, 9_000))]
    add(pool, chain, *queue, transfer(BEN, fee=8_000))
    assert [c for c in take(pool, chain) if c.transaction.sender == ANNA.address] == queue[:2]


def test_a_sender_does_not_displace_its_own_queue(chain):
    pool = Mempool(count_max=2)
    add(pool, chain, transfer(ANNA, 0, fee=5_000), transfer(ANNA, 1, fee=5_000))
    assert refuse(pool, chain, transfer(ANNA, 2, fee=90_000)) is Reason.FULL


def test_a_newcomer_too_large_to_fit_displaces_nobody(chain):
    pool = Mempool(bytes_max=3 * SIZE)
    add(pool, chain, transfer(ANNA, fee=5_000), transfer(BEN, fee=90_000))
    large = CallContract(bytes(32), "run", canonical.encode(bytes(2 * SIZE)), 0, 0)
    assert refuse(pool, chain, check(CARLA, large, fee=100_000)) is Reason.FULL


def test_bytes_are_bounded_by_displacing_as_many_as_needed(chain):
    pool = Mempool(bytes_max=4 * SIZE)
    add(pool, chain, *(transfer(person, fee=2_000) for person in (ANNA, BEN)))
    args = canonical.encode(bytes(2 * SIZE))
    body = CallContract(bytes(32), "run", args, 0, CONTRACT_CALL_GAS_MAX)
    large = check(CARLA, body, fee=100_000)
    assert large.size > 3 * SIZE
    add(pool, chain, large)
    assert take(pool, chain) == [large]
    assert pool.size_bytes == large.size


def test_a_returned_fee_offer_does_not_buy_a_place(chain):
    """What comes back to the payer anyway counts for nothing in the order."""
    body = CallContract(bytes(32), "run", b"\x90", 0, 0)
    pool = Mempool()
    boastful, honest = check(ANNA, body, fee=10**9), transfer(BEN, fee=5_000)
    add(pool, chain, boastful, honest)
    assert take(pool, chain) == [honest, boastful]


def test_a_full_pool_still_replaces(chain):
    pool = Mempool(count_max=1)
    add(pool, chain, transfer(ANNA, fee=10_000))
    newer = transfer(ANNA, fee=20_000)
    add(pool, chain, newer)
    assert take(pool, chain) == [newer]


def test_memory_follows_what_waits_however_often_it_is_replaced(chain):
    pool = Mempool()
    for turn in range(500):
        add(pool, chain, checked := transfer(ANNA, nonce=turn % 3))
        pool.remove(checked.id)
    assert len(pool._waiting._cheapest) <= 64
    assert not pool._waiting._by_sender
    assert not pool._waiting._offered_by


def test_removing_an_unknown_transaction_is_no_error(chain):
    pool = Mempool()
    pool.remove(bytes(32))
    assert len(pool) == 0


PEOPLE = (ANNA, BEN, CARLA)
START = 150_000
bodies: st.SearchStrategy[Body] = st.builds(
    Transfer, st.sampled_from([p.address for p in PEOPLE]), st.integers(0, START)
)
steps = st.tuples(
    st.sampled_from(PEOPLE),
    st.integers(0, 5),
    bodies,
    st.none() | st.sampled_from(PEOPLE),
    st.integers(1_400, 60_000),
)


@settings(max_examples=60)
@given(plan=st.lists(steps, max_size=16), later=st.lists(steps, max_size=8))
def test_every_block_that_is_taken_is_valid_and_the_pool_stays_in_bounds(plan, later):
    chain = Chain()
    for person in PEOPLE:
        chain.state[account_key(person.address)] = canonical.encode(Account(START))
    pool = Mempool(count_max=6, bytes_max=5 * SIZE)
    for wave in (plan, later):
        for sender, nonce, body, payer, fee in wave:
            other = None if payer is sender else payer
            pool.add(
                check(sender, body, other, nonce=nonce, fee=fee), chain.state, chain.height, TIME_MS
            )
            assert len(pool) <= 6
            assert pool.size_bytes <= 5 * SIZE
        block = take(pool, chain)
        chain.apply(*block)
        pool.prune(block, chain.state, chain.height, TIME_MS)
        chain.height += 1
        assert not any(pool.get(checked.id) for checked in block)
        check_backing(pool, chain)


def check_backing(pool: Mempool, chain: Chain) -> None:
    for person in PEOPLE:
        waiting = [e.checked.transaction for e in pool._waiting]
        offered = sum(t.fee for t in waiting if t.fee_payer == person.address)
        assert offered == pool._waiting.fees_offered_by(person.address)
        assert offered <= chain.account(person).balance


def test_what_was_dropped_and_came_again_is_evicted_once(chain):
    def call(sender: Person, args_size: int, gas: int) -> CheckedTransaction:
        args = canonical.encode(bytes(args_size))
        return check(sender, CallContract(bytes(32), "run", args, 0, gas), fee=90_000)

    cheap, large = call(ANNA, 10, gas=0), call(BEN, 900, gas=2_000_000)
    pool = Mempool(bytes_max=cheap.size + large.size)
    add(pool, chain, cheap)
    pool.remove(cheap.id)
    add(pool, chain, cheap, large)
    add(pool, chain, call(CARLA, 600, gas=5_000_000))  # needs more room than the cheap one's
    assert pool.get(cheap.id) is pool.get(large.id) is None
    assert len(pool) == 1
