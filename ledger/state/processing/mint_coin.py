"""MintCoin: make more of an IOT_Coin.

Rule 1: the coin exists and the sender issued it.
Rule 2: the supply stays within the coin's `supply_max`, which every holder knew from the start.
"""

import msgspec

from ledger.codec import canonical
from ledger.errors import Reason, Rejected
from ledger.state.coins import increase_coin_balance
from ledger.state.keys import coin_key
from ledger.state.loading import load, save
from ledger.state.overlay import Overlay
from ledger.types.records import Coin
from ledger.types.transaction import MintCoin

_coins = canonical.OwnDecoder(Coin)


def process_mint_coin(state: Overlay, sender: bytes, body: MintCoin) -> Rejected | None:
    """Raise the supply and credit the new units."""
    coin = load(state, coin_key(body.coin), _coins)
    if coin is None:
        return Rejected(Reason.UNKNOWN_COIN, f"coin {body.coin.hex()[:16]} does not exist")
    if coin.issuer != sender:
        return Rejected(Reason.NOT_OWNER, "only the issuer mints")
    supply = coin.supply + body.amount
    if supply > coin.supply_max:
        detail = f"{coin.supply_max - coin.supply} units are left to mint"
        return Rejected(Reason.OUT_OF_RANGE, detail)
    save(state, coin_key(body.coin), msgspec.structs.replace(coin, supply=supply))
    return increase_coin_balance(state, body.coin, body.to, body.amount)
