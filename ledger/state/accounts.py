"""SSP accounts. An account of nothing and an absent account are the same: neither is stored."""

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
_decode = canonical.OwnDecoder(Account).decode


def get_account(state: StateReader, address: bytes) -> Account:
    """Return an address's account; an empty one where nothing is stored."""
    while isinstance(state, Overlay):
        account = state.accounts.get(address)
        if account is not None:
            return account
        if state.writes and account_key(address) in state.writes:
            break
        state = state.parent
    data = state.get(account_key(address))
    return _EMPTY if data is None else _decode(data)


def put_account(state: Overlay, address: bytes, account: Account) -> None:
    """Change an account; it is stored when `encode_accounts` is called."""
    state.accounts[address] = account


def encode_accounts(state: Overlay) -> dict[bytes, Account]:
    """Write all changed accounts down and return them by address."""
    changed, state.accounts = state.accounts, {}
    writes, encode = state.writes, canonical.encode
    for address, account in changed.items():
        is_stored = account.balance or account.nonce
        writes[ACCOUNT_PREFIX + address] = encode(account) if is_stored else None
    return changed


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
        return _lacks_funds(account, amount)
    left = account.balance - amount
    put_account(state, address, Account(left, account.nonce, account.is_voter))
    return None


def move_balance(state: Overlay, sender: bytes, to: bytes, amount: int) -> Rejected | None:
    """Move base units between two accounts, which may be the same one; none of them the ledger's.

    A refusal comes before anything is changed.
    """
    if to in RESERVED_ADDRESSES:
        return Rejected(Reason.OUT_OF_RANGE, "that address is the ledger's own: nobody could spend")
    giver = get_account(state, sender)
    if giver.balance < amount:
        return _lacks_funds(giver, amount)
    if to == sender:
        return None
    taker = get_account(state, to)
    balance = taker.balance + amount
    if balance > AMOUNT_MAX:
        return Rejected(Reason.OUT_OF_RANGE, f"the balance would exceed {AMOUNT_MAX} base units")
    put_account(state, sender, Account(giver.balance - amount, giver.nonce, giver.is_voter))
    put_account(state, to, Account(balance, taker.nonce, taker.is_voter))
    return None


def _lacks_funds(account: Account, amount: int) -> Rejected:
    return Rejected(
        Reason.INSUFFICIENT_FUNDS,
        f"the account holds {account.balance} base units, {amount} are needed",
    )
