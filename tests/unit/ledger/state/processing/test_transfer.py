"""Rules of Transfer."""

from ledger.params import AMOUNT_MAX
from ledger.types.transaction import Transfer
from tests.support.transactions import (
    ANNA,
    BEN,
    FEE,
    PROPOSER,
    RICH,
    Chain,
    assert_applied,
    assert_failed,
)


def test_a_transfer_moves_the_amount_and_the_proposer_gets_the_fee():
    chain = Chain(ANNA)
    assert_applied(chain.run(ANNA, Transfer(BEN.address, 700)))
    assert chain.account(ANNA).balance == RICH - 700 - FEE
    assert chain.account(ANNA).nonce == 1
    assert chain.account(BEN).balance == 700
    assert chain.account(PROPOSER).balance == FEE


def test_the_last_base_unit_can_be_spent():
    chain = Chain(ANNA)
    assert_applied(chain.run(ANNA, Transfer(BEN.address, RICH - FEE)))
    assert chain.account(ANNA).balance == 0


def test_one_base_unit_too_many_fails_and_costs_only_the_fee():
    chain = Chain(ANNA)
    assert_failed(chain.run(ANNA, Transfer(BEN.address, RICH - FEE + 1)), "insufficient-funds")
    assert chain.account(ANNA).balance == RICH - FEE
    assert chain.account(ANNA).nonce == 1
    assert chain.account(BEN).balance == 0


def test_a_transfer_to_oneself_changes_nothing_but_fee_and_nonce():
    chain = Chain(ANNA)
    assert_applied(chain.run(ANNA, Transfer(ANNA.address, RICH - FEE)))
    assert chain.account(ANNA).balance == RICH - FEE
    assert_failed(chain.run(ANNA, Transfer(ANNA.address, RICH)), "insufficient-funds")


def test_an_amount_beyond_all_supply_fails():
    chain = Chain(ANNA, BEN)
    assert_failed(chain.run(ANNA, Transfer(BEN.address, AMOUNT_MAX)), "insufficient-funds")


def test_a_transfer_of_nothing_creates_no_account():
    chain = Chain(ANNA)
    before = set(chain.state)
    assert_applied(chain.run(ANNA, Transfer(BEN.address, 0)))
    assert set(chain.state) - before == {b"a" + PROPOSER.address}


def test_a_transfer_to_the_proposer_and_its_fees_add_up():
    chain = Chain(ANNA)
    assert_applied(chain.run(ANNA, Transfer(PROPOSER.address, 5)))
    assert chain.account(PROPOSER).balance == 5 + FEE


def test_what_the_proposer_sends_comes_back_as_its_own_fee():
    chain = Chain(PROPOSER)
    assert_applied(chain.run(PROPOSER, Transfer(ANNA.address, 5)))
    assert chain.account(PROPOSER).balance == RICH - 5
