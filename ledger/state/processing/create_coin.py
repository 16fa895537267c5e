"""CreateCoin: issue an IOT_Coin.

Rule 1: the coin's id is the hash of issuer and nonce, so it is new; a symbol is not a name anyone owns.
Rule 2: the name is one line without control characters; the type restricts the symbol further.
Rule 3: the first supply starts with the issuer; it may mint up to `supply_max`, which is fixed for ever.
"""

from ledger.codec import canonical
from ledger.crypto import domains
from ledger.errors import Reason, Rejected
from ledger.state.coins import increase_coin_balance
from ledger.state.keys import coin_key
from ledger.state.overlay import Overlay
from ledger.state.plain_text import is_plain_text
from ledger.types.records import Coin
from ledger.types.transaction import CreateCoin


def process_create_coin(
    state: Overlay, sender: bytes, nonce: int, body: CreateCoin
) -> Rejected | None:
    """Store the coin and credit its supply to the sender."""
    if not is_plain_text(body.name):
        return Rejected(Reason.MALFORMED, "the name is one line of plain text")
    if body.supply > body.supply_max:
        return Rejected(Reason.OUT_OF_RANGE, "the first supply exceeds the largest one")
    coin_id = domains.coin_id(sender, nonce)
    coin = Coin(
        issuer=sender,
        symbol=body.symbol,
        name=body.name,
        decimals=body.decimals,
        supply=body.supply,
        supply_max=body.supply_max,
    )
    state.put(coin_key(coin_id), canonical.encode(coin))
    return increase_coin_balance(state, coin_id, sender, body.supply)
