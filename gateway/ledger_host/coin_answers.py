"""The ledger's answer about an IOT_Coin."""

from gateway.model.ledger_api import CoinReply
from ledger.codec.canonical import Decoder
from ledger.state.coins import get_coin_balance
from ledger.state.keys import coin_key
from ledger.state.overlay import StateReader
from ledger.types.records import Coin

_coins = Decoder(Coin)


def build_coin_reply(state: StateReader, coin: bytes, address: bytes) -> CoinReply:
    """Return a coin and what an address holds of it."""
    data = state.get(coin_key(coin))
    if data is None:
        return CoinReply(exists=False)
    found = _coins.decode(data)
    return CoinReply(
        exists=True,
        symbol=found.symbol,
        name=found.name,
        decimals=found.decimals,
        supply=found.supply,
        issuer=found.issuer.hex(),
        balance=get_coin_balance(state, coin, address),
    )
