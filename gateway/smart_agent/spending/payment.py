"""What leaves the wallet with a signature. Pure.

Rule 1: counted are amounts, deposits, fees, coins, and what a voucher promises beyond the one before it.
Rule 2: stake stays its owner's (delegations, bonds, deposits of proposals): only its fee counts, as does a
payment to the wallet itself.
"""

from dataclasses import dataclass

from ledger.crypto.hashing import sha256
from ledger.types.offers import Voucher
from ledger.types.transaction import BurnCoin, CallContract, Transaction, Transfer, TransferCoin


@dataclass(frozen=True, slots=True)
class Payment:
    """What one signature gives away. `id` is the same for the same bytes, so a repeat counts once.

    With a `channel`, `ssp` is all that was ever promised there.
    """

    id: bytes
    ssp: int
    fee: int
    recipient: bytes | None = None
    coin: bytes | None = None
    coin_units: int = 0
    channel: bytes | None = None


def payment_of_transaction(transaction: Transaction, payload: bytes, wallet: bytes) -> Payment:
    """Return what a transaction takes from the wallet, which is its sender or its fee's payer."""
    fee = transaction.fee if transaction.fee_payer == wallet else 0
    name = sha256(payload)
    if transaction.sender != wallet:
        return Payment(name, 0, fee)
    match transaction.body:
        case Transfer(to=to, amount=amount) if to != wallet:
            return Payment(name, amount, fee, to)
        case CallContract(contract=contract, deposit=deposit) if deposit:
            return Payment(name, deposit, fee, contract)
        case TransferCoin(coin=coin, to=to, amount=amount) if to != wallet:
            return Payment(name, 0, fee, to, coin, amount)
        case BurnCoin(coin=coin, amount=amount):
            return Payment(name, 0, fee, None, coin, amount)
        case _:
            return Payment(name, 0, fee)


def payment_of_voucher(voucher: Voucher, payload: bytes) -> Payment:
    """Return what a voucher promises in all; the account of the channel tells how much of it is new."""
    return Payment(sha256(payload), voucher.amount, 0, voucher.payee, channel=voucher.channel)
