"""TransferCoin: move an IOT_Coin.

Rule 1: the coin exists.
Rule 2: the sender holds `amount` of it. A transfer to oneself changes nothing.
"""

from ledger.errors import Reason, Rejected
from ledger.state.coins import decrease_coin_balance, increase_coin_balance
from ledger.state.keys import coin_key
from ledger.state.overlay import Overlay
from ledger.types.transaction import TransferCoin


def process_transfer_coin(state: Overlay, sender: bytes, body: TransferCoin) -> Rejected | None:
    """Move `body.amount` units of `body.coin` from the sender to `body.to`."""
    if state.get(coin_key(body.coin)) is None:
        return Rejected(Reason.UNKNOWN_COIN, f"coin {body.coin.hex()[:16]} does not exist")
    return decrease_coin_balance(state, body.coin, sender, body.amount) or increase_coin_balance(
        state, body.coin, body.to, body.amount
    )
