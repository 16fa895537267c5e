"""What the state keeps about identities."""

import enum

import msgspec

from ledger.types.identity_bodies import RevocationCause
from ledger.types.primitives import Address, Counter, Hash


class Lease(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Which running instance holds a node's identity, and when (block time) it last said so."""

    instance: Hash
    renewal: Counter
    renewed_ms: Counter
    taken_height: Counter


class Retirement(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The end of a node's identity: who ended it and what replaces it."""

    height: Counter
    by: Address
    successor: Address | None


class RevocationState(enum.IntEnum):
    """Where a revocation stands. Only a reinstated grant counts again."""

    REVOKED = 1
    APPEALED = 2
    UPHELD = 3
    REINSTATED = 4


class Revocation(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A revoked grant with its appeal; `by` revoked it, `subject` may appeal."""

    by: Address
    subject: Address
    cause: RevocationCause
    note: str
    height: Counter
    state: RevocationState
    statement: str = ""
    decision: str = ""
    decided_height: Counter = 0


class Software(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A listed software measurement."""

    label: str
    height: Counter
