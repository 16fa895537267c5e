"""Transfer: move SSP.

Rule 1: the sender holds `amount` after the fee was taken.
Rule 2: the recipient's balance stays within `AMOUNT_MAX`. A transfer to oneself changes nothing.
"""

from ledger.errors import Rejected
from ledger.state.accounts import move_balance
from ledger.state.overlay import Overlay
from ledger.types.transaction import Transfer


def process_transfer(state: Overlay, sender: bytes, body: Transfer) -> Rejected | None:
    """Move `body.amount` base units from the sender to `body.to`."""
    return move_balance(state, sender, body.to, body.amount)
