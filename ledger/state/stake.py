"""Stake: SSP that is bound to an agent, and what it gives to those who bound it.

Rule 1: all bound and all unbonding SSP stands on the account `STAKE_ESCROW`, so the sum of all
accounts never changes by it.
Rule 2: stake casts ballots on proposals; the same stake gives its beneficiary free metering.
Rule 3: what is taken back is free after the unbonding time. Entries that become free on the same
day are one.
"""

import msgspec

from ledger.codec import canonical
from ledger.errors import Reason, Rejected
from ledger.params import AMOUNT_MAX, DAY_MS, UNBONDING_ENTRIES_MAX
from ledger.state.accounts import STAKE_ESCROW, decrease_balance, increase_balance
from ledger.state.keys import (
    STAKE_TOTAL_KEY,
    allowance_key,
    delegation_key,
    stake_key,
    unbonding_key,
)
from ledger.state.loading import load, save
from ledger.state.overlay import Overlay, StateReader
from ledger.types.stake import Allowance, Delegation, Unbonding, UnbondingEntry

_allowances = canonical.OwnDecoder(Allowance)
_delegations = canonical.OwnDecoder(Delegation)
_unbondings = canonical.OwnDecoder(Unbonding)
_integers = canonical.OwnDecoder(int)
_NO_ALLOWANCE = Allowance(0, 0, 0)


def get_stake(state: StateReader, address: bytes) -> int:
    """Return the base units that an account has bound to agents."""
    return load(state, stake_key(address), _integers) or 0


def get_stake_total(state: StateReader) -> int:
    """Return the base units that all accounts have bound to agents."""
    return load(state, STAKE_TOTAL_KEY, _integers) or 0


def change_stake(state: Overlay, address: bytes, by: int) -> None:
    """Count `by` base units more, or fewer, as the stake of an account."""
    for key, before in (
        (stake_key(address), get_stake(state, address)),
        (STAKE_TOTAL_KEY, get_stake_total(state)),
    ):
        after = before + by
        assert 0 <= after <= AMOUNT_MAX, "stake is part of the supply"
        if after:
            state.put(key, canonical.encode(after))
        else:
            state.delete(key)


def bind(state: Overlay, owner: bytes, beneficiary: bytes, amount: int) -> Rejected | None:
    """Move SSP from an account into stake; the beneficiary may meter on it."""
    refusal = decrease_balance(state, owner, amount)
    if refusal is not None:
        return refusal
    refusal = increase_balance(state, STAKE_ESCROW, amount)
    assert refusal is None, "the escrow cannot exceed the supply"
    change_stake(state, owner, amount)
    change_allowance(state, beneficiary, amount)
    return None


def unbind(
    state: Overlay, owner: bytes, beneficiary: bytes, entry: UnbondingEntry
) -> Rejected | None:
    """Let stake begin its way back to the owner."""
    refusal = _add_unbonding(state, owner, entry)
    if refusal is None:
        change_stake(state, owner, -entry.amount)
        change_allowance(state, beneficiary, -entry.amount)
    return refusal


def get_delegation(state: StateReader, delegator: bytes, agent: bytes) -> Delegation | None:
    """Return what an account lent to an agent."""
    return load(state, delegation_key(delegator, agent), _delegations)


def put_delegation(state: Overlay, delegator: bytes, agent: bytes, delegation: Delegation) -> None:
    """Store what an account lends to an agent; nothing is not stored."""
    key = delegation_key(delegator, agent)
    if delegation.amount:
        save(state, key, delegation)
    else:
        state.delete(key)


def get_unbonding(state: StateReader, address: bytes) -> tuple[UnbondingEntry, ...]:
    """Return the stake of an account that is on its way back, the earliest first."""
    unbonding = load(state, unbonding_key(address), _unbondings)
    return () if unbonding is None else unbonding.entries


def put_unbonding(state: Overlay, address: bytes, entries: tuple[UnbondingEntry, ...]) -> None:
    """Store the stake of an account that is on its way back."""
    if entries:
        save(state, unbonding_key(address), Unbonding(entries))
    else:
        state.delete(unbonding_key(address))


def compute_free_at_ms(now_ms: int, unbonding_ms: int) -> int:
    """Return when stake taken back now is free: the unbonding time, up to the end of that day."""
    return -(-(now_ms + unbonding_ms) // DAY_MS) * DAY_MS


def _add_unbonding(state: Overlay, owner: bytes, new: UnbondingEntry) -> Rejected | None:
    entries = list(get_unbonding(state, owner))
    for place, entry in enumerate(entries):
        if (entry.free_at_ms, entry.is_bond) == (new.free_at_ms, new.is_bond):
            entries[place] = msgspec.structs.replace(entry, amount=entry.amount + new.amount)
            break
    else:
        entries.append(new)
    if len(entries) > UNBONDING_ENTRIES_MAX:
        return Rejected(
            Reason.FULL, f"{UNBONDING_ENTRIES_MAX} amounts are unbonding: withdraw what is free"
        )
    put_unbonding(state, owner, tuple(sorted(entries, key=lambda e: (e.free_at_ms, e.is_bond))))
    return None


def get_allowance(state: StateReader, address: bytes) -> Allowance:
    """Return what an account may meter for free."""
    return load(state, allowance_key(address), _allowances) or _NO_ALLOWANCE


def change_allowance(state: Overlay, address: bytes, by: int) -> None:
    """Let `by` base units of stake more, or fewer, benefit an account."""
    before = get_allowance(state, address)
    after = msgspec.structs.replace(before, stake=before.stake + by)
    if after.stake:
        save(state, allowance_key(address), after)
    else:
        state.delete(allowance_key(address))


def count_free_left(allowance: Allowance, epoch: int, free_anchor_stake: int) -> int:
    """Return how many metering transactions are still free in `epoch`."""
    used = allowance.used if allowance.epoch == epoch else 0
    return max(allowance.stake // free_anchor_stake - used, 0)


def use_allowance(state: Overlay, address: bytes, epoch: int, free_anchor_stake: int) -> bool:
    """Take one free metering transaction; tell whether there was one."""
    allowance = get_allowance(state, address)
    if not count_free_left(allowance, epoch, free_anchor_stake):
        return False
    used = allowance.used if allowance.epoch == epoch else 0
    save(state, allowance_key(address), Allowance(allowance.stake, epoch, used + 1))
    return True
