"""BurnCoin: destroy units of an IOT_Coin.

Rule 1: the coin exists.
Rule 2: the sender holds the amount; the supply falls by it, and may be minted again by the issuer.
"""

import msgspec

from ledger.codec import canonical
from ledger.errors import Reason, Rejected
from ledger.state.coins import decrease_coin_balance
from ledger.state.keys import coin_key
from ledger.state.loading import load, save
from ledger.state.overlay import Overlay
from ledger.types.records import Coin
from ledger.types.transaction import BurnCoin

_coins = canonical.OwnDecoder(Coin)


def process_burn_coin(state: Overlay, sender: bytes, body: BurnCoin) -> Rejected | None:
    """Take the units from the sender and from the supply."""
    coin = load(state, coin_key(body.coin), _coins)
    if coin is None:
        return Rejected(Reason.UNKNOWN_COIN, f"coin {body.coin.hex()[:16]} does not exist")
    refusal = decrease_coin_balance(state, body.coin, sender, body.amount)
    if refusal is None:
        supply = coin.supply - body.amount
        save(state, coin_key(body.coin), msgspec.structs.replace(coin, supply=supply))
    return refusal
