"""IOT_Coin balances. Like an account, a balance of nothing is not stored."""

from ledger.codec import canonical
from ledger.errors import Reason, Rejected
from ledger.params import AMOUNT_MAX
from ledger.state.keys import coin_balance_key
from ledger.state.overlay import Overlay, StateReader

_decoder = canonical.OwnDecoder(int)


def get_coin_balance(state: StateReader, coin: bytes, address: bytes) -> int:
    """Return how many units of a coin an address holds."""
    data = state.get(coin_balance_key(coin, address))
    return 0 if data is None else _decoder.decode(data)


def _put_coin_balance(state: Overlay, coin: bytes, address: bytes, balance: int) -> None:
    if balance:
        state.put(coin_balance_key(coin, address), canonical.encode(balance))
    else:
        state.delete(coin_balance_key(coin, address))


def increase_coin_balance(
    state: Overlay, coin: bytes, address: bytes, amount: int
) -> Rejected | None:
    """Add units of a coin to what an address holds, never beyond `AMOUNT_MAX`."""
    balance = get_coin_balance(state, coin, address) + amount
    if balance > AMOUNT_MAX:
        return Rejected(Reason.OUT_OF_RANGE, f"the balance would exceed {AMOUNT_MAX} units")
    _put_coin_balance(state, coin, address, balance)
    return None


def decrease_coin_balance(
    state: Overlay, coin: bytes, address: bytes, amount: int
) -> Rejected | None:
    """Take units of a coin from an address that holds them."""
    balance = get_coin_balance(state, coin, address)
    if balance < amount:
        return Rejected(
            Reason.INSUFFICIENT_FUNDS, f"the account holds {balance} units, {amount} are needed"
        )
    _put_coin_balance(state, coin, address, balance - amount)
    return None
