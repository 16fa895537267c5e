"""Rules of CreateCoin."""

import msgspec
import pytest

from ledger.codec import canonical
from ledger.crypto import domains
from ledger.params import AMOUNT_MAX
from ledger.state.coins import get_coin_balance
from ledger.state.keys import coin_key
from ledger.types.records import Coin
from ledger.types.transaction import CreateCoin
from tests.support.transactions import ANNA, Chain, assert_applied, assert_failed

BODY = CreateCoin("PARK", "Parking Köln", 2, supply=AMOUNT_MAX, supply_max=AMOUNT_MAX)


def test_a_coin_is_created_and_its_supply_is_the_issuers():
    chain = Chain(ANNA)
    assert_applied(chain.run(ANNA, BODY))
    coin = domains.coin_id(ANNA.address, 0)
    stored = canonical.Decoder(Coin).decode(chain.state[coin_key(coin)])
    assert stored == Coin(ANNA.address, "PARK", "Parking Köln", 2, AMOUNT_MAX, AMOUNT_MAX)
    assert get_coin_balance(chain.state, coin, ANNA.address) == AMOUNT_MAX


def test_the_same_issuer_may_issue_two_coins_alike():
    chain = Chain(ANNA)
    assert_applied(chain.run(ANNA, BODY))
    assert_applied(chain.run(ANNA, BODY))
    assert coin_key(domains.coin_id(ANNA.address, 0)) in chain.state
    assert coin_key(domains.coin_id(ANNA.address, 1)) in chain.state


def test_a_coin_without_supply_leaves_no_balance():
    chain = Chain(ANNA)
    assert_applied(chain.run(ANNA, msgspec.structs.replace(BODY, supply=0)))
    assert not [key for key in chain.state if key.startswith(b"b")]


@pytest.mark.parametrize(
    "changes",
    [{"name": "two\nlines"}, {"name": "\x1b[31mred"}, {"name": "a\u202eb"}],
)
def test_text_that_steers_a_terminal_is_refused(changes):
    chain = Chain(ANNA)
    assert_failed(chain.run(ANNA, msgspec.structs.replace(BODY, **changes)), "malformed")
    assert not [key for key in chain.state if key[:1] in (b"c", b"b")]


def test_a_first_supply_beyond_the_largest_is_refused():
    chain = Chain(ANNA)
    body = msgspec.structs.replace(BODY, supply=11, supply_max=10)
    assert_failed(chain.run(ANNA, body), "out-of-range")
