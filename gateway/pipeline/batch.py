"""Batches: consecutive readings of one device under one profile, anchored by one Merkle root.

A batch is due when it is full, or when its oldest reading has waited long enough. Time is the
gateway's wall clock, which may be set back or forward: an oldest reading that seems to come from
the future makes the batch due at once, so a corrected clock never holds readings back.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.model.observation import StoredReading
from ledger.codec import merkle
from ledger.params import ANCHOR_READINGS_MAX
from ledger.types.reading import ReadingProof
from ledger.types.transaction import Anchor

BATCH_COUNT_MAX = ANCHOR_READINGS_MAX
BATCH_AGE_MAX_MS = 10_000  # how long a reading may wait for its anchor: a user sees it at once


@dataclass(frozen=True, slots=True)
class BatchPolicy:
    """When a batch closes: at `count_max` readings, or `age_max_ms` after its oldest one."""

    count_max: int = BATCH_COUNT_MAX
    age_max_ms: int = BATCH_AGE_MAX_MS

    def __post_init__(self) -> None:
        assert 1 <= self.count_max <= ANCHOR_READINGS_MAX
        assert self.age_max_ms >= 0


@dataclass(frozen=True, slots=True)
class Backlog:
    """The readings of a device that no batch holds yet: how many, and the oldest one's time."""

    count: int
    oldest_ms: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Readings `first` to `last` of a device, as canonical bytes in order, and their Merkle root.

    The times are the least and the greatest gateway time among them.
    """

    device_id: bytes
    profile_hash: bytes
    first: int
    time_first_ms: int
    time_last_ms: int
    root: bytes
    leaves: tuple[bytes, ...]

    @property
    def count(self) -> int:
        """The number of readings."""
        return len(self.leaves)

    @property
    def last(self) -> int:
        """The sequence of the newest reading."""
        return self.first + len(self.leaves) - 1


def is_batch_due(backlog: Backlog, policy: BatchPolicy, now_ms: int) -> bool:
    """Tell whether the waiting readings should be anchored now."""
    if backlog.count == 0:
        return False
    if backlog.count >= policy.count_max:
        return True
    return not 0 <= now_ms - backlog.oldest_ms < policy.age_max_ms


def take_batchable(stored: Sequence[StoredReading], policy: BatchPolicy) -> Sequence[StoredReading]:
    """Return the longest head of `stored` that fits one batch: one profile, at most `count_max`."""
    for index, one in enumerate(stored[: policy.count_max]):
        if one.reading.profile_hash != stored[0].reading.profile_hash:
            return stored[:index]
    return stored[: policy.count_max]


def build_batch(device_id: bytes, profile_hash: bytes, stored: Sequence[StoredReading]) -> Batch:
    """Return the batch of `stored`: one or more consecutive readings of this device and profile."""
    assert 1 <= len(stored) <= ANCHOR_READINGS_MAX
    first = stored[0].reading.sequence
    for offset, one in enumerate(stored):
        assert one.reading.device_id == device_id
        assert one.reading.profile_hash == profile_hash
        assert one.reading.sequence == first + offset
    leaves = tuple(one.encoded for one in stored)
    times = [one.reading.gateway_time_ms for one in stored]
    return Batch(
        device_id=device_id,
        profile_hash=profile_hash,
        first=first,
        time_first_ms=min(times),
        time_last_ms=max(times),
        root=merkle.merkle_root(leaves),
        leaves=leaves,
    )


def anchor_body(batch: Batch, previous: bytes) -> Anchor:
    """Return the anchor of a batch; `previous` is the device's last anchor's id, or 32 zeros."""
    return Anchor(
        device_id=batch.device_id,
        profile_hash=batch.profile_hash,
        first=batch.first,
        count=batch.count,
        time_first_ms=batch.time_first_ms,
        time_last_ms=batch.time_last_ms,
        root=batch.root,
        previous=previous,
    )


def proof_for(batch: Batch, sequence: int) -> ReadingProof:
    """Return the evidence that reading `sequence` is in the batch."""
    index = sequence - batch.first
    assert 0 <= index < batch.count
    path = merkle.audit_path(batch.leaves, index)
    return ReadingProof(
        reading=batch.leaves[index], anchor_first=batch.first, index=index, path=path
    )


def proofs_for(batch: Batch) -> list[ReadingProof]:
    """Return the evidence for every reading of the batch in order, computing each node once."""
    return [
        ReadingProof(reading=leaf, anchor_first=batch.first, index=index, path=path)
        for index, (leaf, path) in enumerate(
            zip(batch.leaves, merkle.audit_paths(batch.leaves), strict=True)
        )
    ]
