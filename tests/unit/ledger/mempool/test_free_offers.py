"""Metering transactions that offer nothing, and the stake that lets them wait and be taken."""

import pytest

from ledger.crypto.hashing import sha256
from ledger.errors import Reason, Rejected
from ledger.mempool.mempool import Mempool
from ledger.state.transition import CheckedTransaction
from ledger.types.transaction import Anchor, RegisterDevice, Transfer
from tests.support.stake_chain import BOND, StakeChain, people
from tests.support.transactions import BEN, Person, check

(AGENT,) = people(1)
METERS = Person(f"{AGENT.name}'s meters")


@pytest.fixture
def chain() -> StakeChain:
    chain = StakeChain(AGENT, people=(AGENT, BEN))
    chain.enlist(AGENT)
    chain.change_parameters(free_anchor_stake=BOND // 3)
    return chain


def free(nonce: int, sender: Person = METERS) -> CheckedTransaction:
    body = RegisterDevice(sha256(b"device %d" % nonce), sha256(b"profile"))
    return check(sender, body, nonce=nonce, fee=0)


def test_free_offers_wait_and_a_block_takes_as_many_as_stake_gives(chain):
    pool = Mempool()
    offers = [free(nonce) for nonce in range(5)]
    for offer in offers:
        assert pool.add(offer, chain.state, chain.height + 1, chain.time_ms) is None
    taken = pool.take(10**6, 100, chain.state)
    assert taken == offers[:3]
    chain.block(*taken)
    pool.prune(taken, chain.state, chain.height, chain.time_ms)
    assert len(pool) == 2
    assert pool.take(10**6, 100, chain.state) == []
    chain.end_epoch()
    taken = pool.take(10**6, 100, chain.state)
    assert taken == offers[3:]
    chain.block(*taken)
    pool.prune(taken, chain.state, chain.height, chain.time_ms)
    assert (len(pool), pool.size_bytes) == (0, 0)


def test_without_stake_nothing_waits_for_free(chain):
    refusal = Mempool().add(free(0, BEN), chain.state, chain.height + 1, chain.time_ms)
    assert isinstance(refusal, Rejected)
    assert refusal.reason is Reason.FEE_TOO_LOW


def test_only_metering_is_free(chain):
    for body in (Transfer(BEN.address, 0),):
        refusal = Mempool().add(
            check(METERS, body, fee=0), chain.state, chain.height + 1, chain.time_ms
        )
        assert isinstance(refusal, Rejected)


def test_a_free_offer_is_replaced_by_one_that_pays_but_not_by_another_free_one(chain):
    chain.fund(METERS)
    pool = Mempool()
    assert pool.add(free(0), chain.state, chain.height + 1, chain.time_ms) is None
    other = Anchor(sha256(b"d"), sha256(b"p"), 1, 1, 1, 2, sha256(b"r"), bytes(32))
    again = pool.add(check(METERS, other, fee=0), chain.state, chain.height + 1, chain.time_ms)
    assert isinstance(again, Rejected)
    assert again.reason is Reason.FEE_TOO_LOW
    assert pool.add(check(METERS, other), chain.state, chain.height + 1, chain.time_ms) is None
    assert len(pool) == 1
