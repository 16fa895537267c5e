"""What the store tells about devices, batches and signed transactions: frozen values."""

import enum
from dataclasses import dataclass


class SettlementStatus(enum.Enum):
    """Where a signed transaction, or the batch it anchors, stands. The value is what is stored."""

    PENDING = "pending"
    FINAL = "final"
    FAILED = "failed"  # refused, expired, or built on one that failed: it can never become final


@dataclass(frozen=True, slots=True)
class DeviceRecord:
    """A device as the store knows it: its public id, the profile in force, the next sequence."""

    name: str
    device_id: bytes
    profile_hash: bytes
    next_sequence: int


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A signed transaction, kept before it is sent so that the very same bytes are sent again.

    `purpose` is a word for people, such as `anchor`.
    """

    transaction_id: bytes
    raw: bytes
    expiry_height: int
    purpose: str = "transaction"


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """A batch as stored, without its readings. `evidence` is what the ledger gave for its anchor.

    `height` and `evidence` are 0 and empty until the anchor is final. Evidence stays empty, and the height is
    one above its block's, where the ledger does not keep that block.
    """

    status: SettlementStatus
    device: str
    device_id: bytes
    profile_hash: bytes
    first: int
    count: int
    time_first_ms: int
    time_last_ms: int
    root: bytes
    transaction_id: bytes
    raw_transaction: bytes
    height: int
    evidence: bytes

    @property
    def last(self) -> int:
        """The sequence of the newest reading."""
        return self.first + self.count - 1


@dataclass(frozen=True, slots=True)
class Pruned:
    """What retention removed, and the bytes that the database still uses.

    `transactions` are settled ones that anchored no standing batch.
    """

    batches: int
    readings: int
    transactions: int
    bytes_used: int
