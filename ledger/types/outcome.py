"""What a transaction did: the outcome that a block commits to in `outcomes_root`."""

import enum

import msgspec

from ledger.types.primitives import Amount, Counter, Hash


class OutcomeStatus(enum.IntEnum):
    """Whether a transaction's effects stand. A failed one still pays its fee and uses its nonce."""

    APPLIED = 0
    FAILED = 1


class Event(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, gc=False):
    """Something a contract announces; `data` is canonical MessagePack."""

    contract: Hash
    name: str
    data: bytes


class Outcome(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, gc=False):
    """The result of one transaction. `reason` is empty, or says in one line why it failed."""

    transaction_id: Hash
    status: OutcomeStatus
    reason: str
    gas_used: Counter
    fee_paid: Amount
    result: bytes
    events: tuple[Event, ...]
