"""Rules of TransferCoin."""

import pytest

from ledger.crypto import domains
from ledger.crypto.hashing import sha256
from ledger.state.coins import get_coin_balance
from ledger.types.transaction import CreateCoin, TransferCoin
from tests.support.transactions import ANNA, BEN, Chain, assert_applied, assert_failed

COIN = domains.coin_id(ANNA.address, 0)


@pytest.fixture
def chain():
    chain = Chain(ANNA, BEN)
    assert_applied(
        chain.run(ANNA, CreateCoin(symbol="PARK", name="", decimals=0, supply=100, supply_max=100))
    )
    return chain


def holdings(chain: Chain) -> tuple[int, int]:
    anna = get_coin_balance(chain.state, COIN, ANNA.address)
    return anna, get_coin_balance(chain.state, COIN, BEN.address)


def test_coins_move(chain):
    assert_applied(chain.run(ANNA, TransferCoin(COIN, BEN.address, 30)))
    assert holdings(chain) == (70, 30)
    assert_applied(chain.run(BEN, TransferCoin(COIN, ANNA.address, 30)))
    assert holdings(chain) == (100, 0)


def test_more_than_the_sender_holds_fails(chain):
    assert_failed(chain.run(ANNA, TransferCoin(COIN, BEN.address, 101)), "insufficient-funds")
    assert_failed(chain.run(BEN, TransferCoin(COIN, ANNA.address, 1)), "insufficient-funds")
    assert holdings(chain) == (100, 0)


def test_a_coin_that_does_not_exist_fails(chain):
    body = TransferCoin(sha256(b"no coin"), BEN.address, 0)
    assert_failed(chain.run(ANNA, body), "unknown-coin")


def test_a_transfer_to_oneself_changes_nothing(chain):
    assert_applied(chain.run(ANNA, TransferCoin(COIN, ANNA.address, 100)))
    assert holdings(chain) == (100, 0)


def test_no_ssp_moves_with_a_coin(chain):
    before = chain.account(BEN)
    assert_applied(chain.run(ANNA, TransferCoin(COIN, BEN.address, 30)))
    assert chain.account(BEN) == before
