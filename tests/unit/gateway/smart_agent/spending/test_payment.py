"""What counts as leaving the wallet."""

import pytest

from gateway.smart_agent.spending.payment import payment_of_transaction, payment_of_voucher
from ledger.types.offers import Voucher
from ledger.types.transaction import (
    BurnCoin,
    CallContract,
    DeployContract,
    Transaction,
    Transfer,
    TransferCoin,
    Withdraw,
)

WALLET, NODE, TO, COIN = b"w" * 32, b"n" * 32, b"t" * 32, b"c" * 32


def payment(body, sender=WALLET, payer=WALLET):
    transaction = Transaction(b"i" * 32, sender, 0, payer, 9, 100, body)
    return payment_of_transaction(transaction, b"payload", WALLET)


@pytest.mark.parametrize(
    ("body", "ssp", "recipient", "coin", "units"),
    [
        (Transfer(TO, 5), 5, TO, None, 0),
        (Transfer(WALLET, 5), 0, None, None, 0),
        (CallContract(TO, "settle", b"", 7, 1), 7, TO, None, 0),
        (CallContract(TO, "settle", b"", 0, 1), 0, None, None, 0),
        (TransferCoin(COIN, TO, 3), 0, TO, COIN, 3),
        (TransferCoin(COIN, WALLET, 3), 0, None, None, 0),
        (BurnCoin(COIN, 4), 0, None, COIN, 4),
        (DeployContract("", "", b"", 1), 0, None, None, 0),
        (Withdraw(), 0, None, None, 0),
    ],
)
def test_what_each_kind_takes(body, ssp, recipient, coin, units):
    found = payment(body)
    assert (found.ssp, found.fee, found.recipient) == (ssp, 9, recipient)
    assert (found.coin, found.coin_units) == (coin, units)


def test_for_the_node_the_wallet_pays_the_fee_alone():
    found = payment(Transfer(TO, 5), sender=NODE)
    assert (found.ssp, found.fee, found.recipient) == (0, 9, None)


def test_a_voucher_promises_in_its_channel():
    voucher = Voucher(b"i" * 32, WALLET, TO, COIN, 7, 1, 100)
    found = payment_of_voucher(voucher, b"payload")
    assert (found.ssp, found.fee, found.recipient, found.channel) == (7, 0, TO, COIN)
