"""Fees: what a transaction must offer and what it pays.

Rule 1: the minimum is `TRANSACTION_FEE_MIN` plus `TRANSACTION_FEE_PER_BYTE` for its signed bytes.
Rule 2: a body that runs a contract must offer the minimum plus the price of its whole gas limit. It
pays the minimum plus the gas it used, rounded up to a base unit; the rest of the offer comes back.
Rule 3: a deployment pays for the check of its code too, which is work whatever comes of it.
Rule 4: every other body pays what it offers.
Rule 5: a metering body may offer nothing: it then uses up one of the free ones that stake gives its
sender (`ledger.state.stake`), so a metering device needs no coins.
"""

from ledger.params import (
    DEPLOY_CHECK_GAS,
    DEPLOY_CHECK_GAS_PER_CODE_BYTE,
    GAS_PER_FEE_UNIT,
    TRANSACTION_FEE_MIN,
    TRANSACTION_FEE_PER_BYTE,
)
from ledger.state.context import CheckedTransaction
from ledger.types.identity_bodies import RenewLease
from ledger.types.transaction import (
    Anchor,
    CallContract,
    DeployContract,
    RegisterDevice,
    Transaction,
)

# Tuples, made once: these tests run several times for every transaction.
CODE_BODIES = (CallContract, DeployContract)
METERING_BODIES = (Anchor, RegisterDevice, RenewLease)


def compute_fee_min(size: int) -> int:
    """Return the least fee, in base units, for a signed transaction of `size` bytes."""
    return TRANSACTION_FEE_MIN + TRANSACTION_FEE_PER_BYTE * size


def compute_gas_price(gas: int) -> int:
    """Return the base units that pay for `gas` instructions, rounded up."""
    return -(-gas // GAS_PER_FEE_UNIT)


def runs_contract(transaction: Transaction) -> bool:
    """Tell whether the transaction's body runs code."""
    return isinstance(transaction.body, CODE_BODIES)


def compute_check_gas(code: str) -> int:
    """Return what the check of a contract's source costs: the same for every source of this size."""
    return DEPLOY_CHECK_GAS + DEPLOY_CHECK_GAS_PER_CODE_BYTE * len(code.encode())


def get_gas_limit(transaction: Transaction) -> int:
    """Return the instructions that a transaction may cost: 0 unless it runs a contract."""
    body = transaction.body
    if isinstance(body, CallContract):
        return body.gas_limit
    if isinstance(body, DeployContract):
        return compute_check_gas(body.code) + body.gas_limit
    return 0


def compute_fee_required(checked: CheckedTransaction) -> int:
    """Return the least offer with which a block may hold the transaction."""
    if isinstance(checked.transaction.body, CODE_BODIES):
        gas_price = compute_gas_price(get_gas_limit(checked.transaction))
        return compute_fee_min(checked.size) + gas_price
    return compute_fee_min(checked.size)


def is_free_offer(transaction: Transaction) -> bool:
    """Tell whether the transaction means to be a free one of its sender."""
    return transaction.fee == 0 and isinstance(transaction.body, METERING_BODIES)


def compute_fee_payable(checked: CheckedTransaction) -> int:
    """Return the most that the transaction can end up paying: what a proposer may hope for."""
    if runs_contract(checked.transaction):
        return compute_fee_required(checked)
    return checked.transaction.fee


def compute_fee_paid(checked: CheckedTransaction, gas_used: int) -> int:
    """Return the base units that the fee payer loses in the end."""
    transaction = checked.transaction
    if isinstance(transaction.body, CODE_BODIES):
        return compute_fee_min(checked.size) + compute_gas_price(gas_used)
    return transaction.fee
