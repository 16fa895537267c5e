"""Rules of MintCoin and BurnCoin."""

import pytest

from ledger.codec import canonical
from ledger.crypto import domains
from ledger.crypto.hashing import sha256
from ledger.state.coins import get_coin_balance
from ledger.state.keys import coin_key
from ledger.types.records import Coin
from ledger.types.transaction import BurnCoin, CreateCoin, MintCoin
from tests.support.transactions import ANNA, BEN, Chain, assert_applied, assert_failed

COIN = domains.coin_id(ANNA.address, 0)


@pytest.fixture
def chain() -> Chain:
    chain = Chain(ANNA, BEN)
    assert_applied(chain.run(ANNA, CreateCoin("KWH", "", 3, supply=100, supply_max=150)))
    return chain


def supply(chain: Chain) -> int:
    return canonical.Decoder(Coin).decode(chain.state[coin_key(COIN)]).supply


def test_the_issuer_mints_up_to_the_largest_supply(chain):
    assert_applied(chain.run(ANNA, MintCoin(COIN, BEN.address, 50)))
    assert (supply(chain), get_coin_balance(chain.state, COIN, BEN.address)) == (150, 50)
    assert_failed(chain.run(ANNA, MintCoin(COIN, BEN.address, 1)), "out-of-range")
    assert supply(chain) == 150


def test_nobody_else_mints(chain):
    assert_failed(chain.run(BEN, MintCoin(COIN, BEN.address, 1)), "not-owner")


def test_who_holds_units_burns_them_and_the_issuer_may_mint_them_again(chain):
    assert_applied(chain.run(ANNA, BurnCoin(COIN, 100)))
    assert (supply(chain), get_coin_balance(chain.state, COIN, ANNA.address)) == (0, 0)
    assert_applied(chain.run(ANNA, MintCoin(COIN, ANNA.address, 150)))


def test_nobody_burns_what_it_does_not_hold(chain):
    assert_failed(chain.run(BEN, BurnCoin(COIN, 1)), "insufficient-funds")
    assert_failed(chain.run(ANNA, BurnCoin(COIN, 101)), "insufficient-funds")
    assert supply(chain) == 100


def test_a_coin_that_does_not_exist_is_neither_minted_nor_burnt(chain):
    for body in (MintCoin(sha256(b"x"), BEN.address, 1), BurnCoin(sha256(b"x"), 0)):
        assert_failed(chain.run(ANNA, body), "unknown-coin")
