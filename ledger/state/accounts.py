"""SSP accounts. An account of nothing and an absent account are the same: neither is stored."""

from collections.abc import Mapping

from ledger.codec import canonical
from ledger.errors import Reason, Rejected
from ledger.params import AMOUNT_MAX, PUBLIC_KEY_BYTES
from ledger.state.keys import ACCOUNT_PREFIX, account_key
from ledger.state.overlay import Overlay, StateReader
from ledger.types.records import Account

# Accounts of the ledger itself: nobody has a key for them, so only the rules move what they hold.
REWARD_POOL = b"ssp/reward-pool".ljust(PUBLIC_KEY_BYTES, b"\0")
STAKE_ESCROW = b"ssp/stake-escrow".ljust(PUBLIC_KEY_BYTES, b"\0")
BURNT = b"ssp/burnt".ljust(PUBLIC_KEY_BYTES, b"\0")
RESERVED_ADDRESSES = frozenset((REWARD_POOL, STAKE_ESCROW, BURNT))

_EMPTY = Account()
_decoder = canonical.Decoder(Account)


def get_account(state: StateReader, address: bytes) -> Account:
    """Return an address's account; an empty one where nothing is stored."""
    data = state.get(account_key(address))
    return _EMPTY if data is None else _decoder.decode(data)


def put_account(state: Overlay, address: bytes, account: Account) -> None:
    """Store an account."""
    if account.balance or account.nonce:
        state.put(account_key(address), canonical.encode(account))
    else:
        state.delete(account_key(address))


def increase_balance(state: Overlay, address: bytes, amount: int) -> Rejected | None:
    """Add base units to an account, never beyond `AMOUNT_MAX`."""
    account = get_account(state, address)
    balance = account.balance + amount
    if balance > AMOUNT_MAX:
        return Rejected(Reason.OUT_OF_RANGE, f"the balance would exceed {AMOUNT_MAX} base units")
    put_account(state, address, Account(balance, account.nonce, account.is_voter))
    return None


def decrease_balance(state: Overlay, address: bytes, amount: int) -> Rejected | None:
    """Take base units from an account that holds them."""
    account = get_account(state, address)
    if account.balance < amount:
        return Rejected(
            Reason.INSUFFICIENT_FUNDS,
            f"the account holds {account.balance} base units, {amount} are needed",
        )
    left = account.balance - amount
    put_account(state, address, Account(left, account.nonce, account.is_voter))
    return None


def move_balance(state: Overlay, sender: bytes, to: bytes, amount: int) -> Rejected | None:
    """Move base units between two accounts, which may be the same one; none of them the ledger's."""
    if to in RESERVED_ADDRESSES:
        return Rejected(Reason.OUT_OF_RANGE, "that address is the ledger's own: nobody could spend")
    return decrease_balance(state, sender, amount) or increase_balance(state, to, amount)


def read_changed_accounts(writes: Mapping[bytes, bytes | None]) -> dict[bytes, Account]:
    """Return every account that a block wrote, as it now is, by address."""
    return {
        key[1:]: _EMPTY if value is None else _decoder.decode(value)
        for key, value in writes.items()
        if key.startswith(ACCOUNT_PREFIX)
    }
