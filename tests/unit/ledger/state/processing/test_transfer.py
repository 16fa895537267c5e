"""Rules of Transfer."""

from unittest.mock import patch

from hypothesis import given, settings, strategies as st

from ledger.codec import canonical
from ledger.crypto.hashing import sha256
from ledger.params import AMOUNT_MAX, EXPIRY_HEIGHTS_MAX
from ledger.state import transition
from ledger.state.accounts import REWARD_POOL
from ledger.state.context import CheckedTransaction
from ledger.state.keys import account_key
from ledger.state.transition import apply_block, select_transactions
from ledger.types.records import Account
from ledger.types.transaction import Transfer
from tests.support.transactions import (
    ANNA,
    BEN,
    CARLA,
    CHAIN_ID,
    FEE,
    HEIGHT,
    PROPOSER,
    RICH,
    Chain,
    assert_applied,
    assert_failed,
    build,
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


PEOPLE = st.sampled_from([ANNA, BEN, CARLA])
RECIPIENTS = st.sampled_from(
    [ANNA.address, BEN.address, CARLA.address, PROPOSER.address, REWARD_POOL]
)
FEE_LEAST = 1_200  # for the size that `make` gives
BALANCES = st.sampled_from([0, FEE_LEAST, 2 * FEE_LEAST + 3, RICH, AMOUNT_MAX - 1, AMOUNT_MAX])
AMOUNTS = st.sampled_from([0, 1, 2, FEE_LEAST + 3, FEE_LEAST + 4, RICH - FEE_LEAST + 1])
HEIGHTS = st.sampled_from([HEIGHT - 1, HEIGHT, HEIGHT + EXPIRY_HEIGHTS_MAX, HEIGHT + 200_000])
OFTEN_RIGHT = st.sampled_from([0, 0, 0, 0, 1])


@st.composite
def transfers(draw):
    """Draw some transfers, most of which carry their sender's next nonce."""
    nonces, made = {ANNA: 0, BEN: 0, CARLA: 0}, []
    for number in range(draw(st.integers(1, 6))):
        sender = draw(PEOPLE)
        payer = draw(PEOPLE) if draw(OFTEN_RIGHT) else sender
        transaction = build(
            sender,
            Transfer(draw(RECIPIENTS), draw(AMOUNTS)),
            chain_id=sha256(b"another") if draw(st.integers(0, 20)) == 20 else CHAIN_ID,
            nonce=nonces[sender] + draw(OFTEN_RIGHT),
            fee_payer=payer.address,
            fee=draw(st.sampled_from([FEE_LEAST, FEE_LEAST + 1, FEE_LEAST - 1, 0])),
            expiry_height=draw(HEIGHTS) if draw(OFTEN_RIGHT) else HEIGHT,
        )
        nonces[sender] += 1
        made.append(CheckedTransaction(b"%d" % number, sha256(b"%d" % number), transaction, 200))
    return made


@settings(max_examples=150)
@given(st.tuples(BALANCES, BALANCES, BALANCES), transfers())
def test_the_short_way_comes_to_what_the_general_way_comes_to(balances, made):
    chain = Chain()
    for person, balance in zip((ANNA, BEN, CARLA), balances, strict=True):
        record = canonical.encode(Account(balance, 0, is_voter=person is BEN))
        chain.state[account_key(person.address)] = record
    place = (chain.state, chain.context, made, chain.executor)
    short = apply_block(*place), select_transactions(*place)
    with patch.object(transition, "process_paid_transfer", lambda *_: None):
        general = apply_block(*place), select_transactions(*place)
    assert short == general
