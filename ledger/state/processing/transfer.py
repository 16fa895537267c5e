"""Transfer: move SSP.

Rule 1: the sender holds `amount` after the fee was taken.
Rule 2: the recipient's balance stays within `AMOUNT_MAX`. A transfer to oneself changes nothing.
"""

from ledger.errors import Rejected
from ledger.params import AMOUNT_MAX
from ledger.state.accounts import RESERVED_ADDRESSES, get_account, move_balance, put_account
from ledger.state.admission import check_includable
from ledger.state.context import CheckedTransaction
from ledger.state.overlay import Overlay
from ledger.types.outcome import Outcome, OutcomeStatus
from ledger.types.records import Account
from ledger.types.transaction import Transfer


def process_transfer(state: Overlay, sender: bytes, body: Transfer) -> Rejected | None:
    """Move `body.amount` base units from the sender to `body.to`."""
    return move_balance(state, sender, body.to, body.amount)


def process_paid_transfer(
    state: Overlay, checked: CheckedTransaction, body: Transfer, height: int
) -> Outcome | None:
    """Take the fee and move the amount in one step: what most transactions are, in half the time.

    None, with nothing changed, where another pays the fee or anything stands in the way: the general
    way then comes to the same result as ever, and says why.
    """
    transaction = checked.transaction
    address, fee, to = transaction.sender, transaction.fee, body.to
    if transaction.fee_payer != address or to == address or to in RESERVED_ADDRESSES:
        return None
    sender = get_account(state, address)
    if check_includable(checked, sender, sender, height) is not None:
        return None
    taker = get_account(state, to)
    left, balance = sender.balance - fee - body.amount, taker.balance + body.amount
    if left < 0 or balance > AMOUNT_MAX:
        return None
    put_account(state, address, Account(left, sender.nonce + 1, sender.is_voter))
    put_account(state, to, Account(balance, taker.nonce, taker.is_voter))
    return Outcome(checked.id, OutcomeStatus.APPLIED, "", 0, fee, b"", ())
