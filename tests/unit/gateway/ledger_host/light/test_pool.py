"""Own transactions that wait: nonces behind them, room for them, and the end of those that expired."""

from gateway.ledger_host.light.pool import WAITING_MAX, PendingPool
from ledger.errors import Rejected
from ledger.state.admission import check_transaction
from ledger.state.context import CheckedTransaction
from tests.support.light_lab import HeaderChain, agents_of
from tests.support.transactions import Person

CHAIN = HeaderChain([agents_of("a")])
ALICE = Person("alice").address


def transfers(height: int) -> list[CheckedTransaction]:
    """Three transfers of alice's, with nonces from three times the height on."""
    found = [check_transaction(raw, CHAIN.chain_id) for raw in CHAIN.raws(height)]
    return [one for one in found if not isinstance(one, Rejected)]


def test_the_next_nonce_is_behind_what_waits_without_a_gap():
    pool = PendingPool()
    first, second, third = transfers(1)
    pool.add(first)
    pool.add(third)
    assert pool.next_nonce(ALICE, 3) == 4
    pool.add(second)
    assert pool.next_nonce(ALICE, 3) == 6
    assert pool.next_nonce(ALICE, 9) == 9
    assert pool.next_nonce(Person("bob").address, 3) == 3


def test_what_is_final_or_expired_is_forgotten():
    pool = PendingPool()
    for one in transfers(1):
        pool.add(one)
    pool.remove(transfers(1)[0].id)
    assert pool.oldest(9) == tuple(one.raw for one in transfers(1)[1:])
    pool.drop_expired(999)
    assert len(pool) == 2
    pool.drop_expired(1_000)
    assert not pool


def test_a_final_nonce_leaves_no_room_for_those_at_it_and_below():
    pool = PendingPool()
    for one in transfers(1):
        pool.add(one)
    pool.drop_used(Person("bob").address, 9)
    assert len(pool) == 3
    pool.drop_used(ALICE, 4)
    assert pool.ids() == (transfers(1)[2].id,)


def test_it_is_bounded():
    pool = PendingPool()
    for height in range(WAITING_MAX // 3 + 1):
        for one in transfers(height):
            assert pool.check_room() is None or len(pool) == WAITING_MAX
            if len(pool) < WAITING_MAX:
                pool.add(one)
    assert isinstance(pool.check_room(), Rejected)
