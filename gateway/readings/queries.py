"""Everything that can be asked of the readings database; it sees what is committed, no more."""

import sqlite3
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Self

from peewee import Query, Select, fn

from gateway.errors import StoreError
from gateway.model.observation import StoredReading
from gateway.pipeline.batch import Backlog
from gateway.readings.faults import damaged, store_faults
from gateway.readings.pages import (
    SEQUENCE_MAX,
    read_log,
    read_pages,
    read_pages_backwards,
)
from gateway.readings.progress import Position, find_position, find_positions, find_time_ms
from gateway.readings.records import BatchRecord, DeviceRecord, OutboxEntry, SettlementStatus
from gateway.readings.runs import Run, decode_reading
from gateway.readings.schema import BATCH, DEVICE, OUTBOX, open_reader
from gateway.readings.statements import Written, ask, ask_written
from ledger.codec.canonical import Decoder
from ledger.errors import CodecError
from ledger.types.reading import Reading

BATCHES_LIMIT = 1_000  # rows of one answer: a year of batches does not fit a small machine's memory

_decode_reading = Decoder(Reading).decode
_IS_STANDING = BATCH.c.status != SettlementStatus.FAILED.value
_IS_PENDING = OUTBOX.c.status == SettlementStatus.PENDING.value
_PENDING_COUNT: Written = OUTBOX.select(fn.COUNT(OUTBOX.c.entry)).where(_IS_PENDING).sql()
_PENDING: Written = (
    OUTBOX.select(OUTBOX.c.transaction_id, OUTBOX.c.raw, OUTBOX.c.expiry_height, OUTBOX.c.purpose)
    .where(_IS_PENDING)
    .order_by(OUTBOX.c.entry)
    .sql()
)


class ReadingsQueries(ABC):
    """Reads through a connection of their own, from any thread, one at a time.

    What is recent is asked for before the pages: what a fold moves meanwhile is then seen twice, not
    missed. Every method raises `StoreError` for a device that the store does not know.
    """

    def __init__(self, path: Path, reader: sqlite3.Connection) -> None:
        self.path = path
        self._reader = reader
        self._reader_lock = threading.Lock()

    def devices(self) -> list[DeviceRecord]:
        """Return every device in the order of its registration."""
        query = DEVICE.select(
            DEVICE.c.device, DEVICE.c.name, DEVICE.c.device_id, DEVICE.c.profile_hash
        )
        with self._snapshot():
            recent = self._recent_runs()
            known = ask(self._reader, query.order_by(DEVICE.c.device))
            positions = find_positions(self._reader, recent)
        return [
            DeviceRecord(name, device_id, profile, positions[key].next_sequence)
            for key, name, device_id, profile in known
        ]

    def get(self, device: str, sequence: int) -> StoredReading | None:
        """Return one reading, or None if it does not exist or retention dropped it."""
        found = self.range(device, sequence, 1)
        return found[0] if found else None

    def range(self, device: str, first: int, count: int) -> list[StoredReading]:
        """Return the stored readings among `count` sequences from `first`, in order."""
        key, last = self._key(device), first + count - 1
        with self._snapshot():
            found = _cut(self._recent_run(key), first, last)
            found.update(read_pages(self._reader, key, first, last))
        return self._readings(device, found)

    def last(self, device: str, limit: int) -> list[StoredReading]:
        """Return the newest `limit` readings of a device, oldest first."""
        key = self._key(device)
        with self._snapshot():
            found = _cut(self._recent_run(key), 1, SEQUENCE_MAX)
            pages = read_pages_backwards(self._reader, key, min(found, default=SEQUENCE_MAX))
            with closing(pages) as older:
                found.update(islice(older, max(0, limit - len(found))))
        return self._readings(device, found)[-limit:] if limit > 0 else []

    def unanchored(self, device: str, limit: int) -> list[StoredReading]:
        """Return the oldest `limit` readings that no standing batch holds, in order."""
        return self.range(device, self._position(device).unanchored, limit)

    def backlog(self, device: str) -> Backlog:
        """Return how many readings wait for a batch, and the oldest one's gateway time."""
        return self._position(device).backlog

    def batches(self, status: SettlementStatus, limit: int = BATCHES_LIMIT) -> list[BatchRecord]:
        """Return the newest `limit` batches with this status, oldest first."""
        query = _select_batches().where(BATCH.c.status == status.value)
        return self._batches(query.order_by(BATCH.c.batch.desc()).limit(limit))[::-1]

    def newest_batch(self, device: str) -> BatchRecord | None:
        """Return the device's newest standing batch: the one that the next anchor builds on."""
        query = _select_batches().where((BATCH.c.device == self._key(device)) & _IS_STANDING)
        found = self._batches(query.order_by(BATCH.c.first.desc()).limit(1))
        return found[0] if found else None

    def batch_containing(self, device: str, sequence: int) -> BatchRecord | None:
        """Return the standing batch that holds a reading, or None if none does yet."""
        starts_before = (BATCH.c.device == self._key(device)) & (BATCH.c.first <= sequence)
        query = _select_batches().where(starts_before & _IS_STANDING)
        found = self._batches(query.order_by(BATCH.c.first.desc()).limit(1))
        return found[0] if found and sequence <= found[0].last else None

    def next_final_batch(self, device: str, after_sequence: int) -> BatchRecord | None:
        """Return the first final batch with its readings that reaches over `after_sequence`.

        It may start before or after it: batches that retention dropped are passed over.
        """
        in_device = BATCH.c.device == self._key(device)
        begins_before = in_device & _IS_STANDING & (BATCH.c.first <= after_sequence)
        start = BATCH.select(fn.COALESCE(fn.MAX(BATCH.c.first), 0)).where(begins_before)
        reaches_over = BATCH.c.first + BATCH.c.count - 1 > after_sequence
        is_provable = (BATCH.c.status == SettlementStatus.FINAL.value) & (
            BATCH.c.holds_readings == 1
        )
        query = _select_batches().where(
            in_device & _IS_STANDING & (BATCH.c.first >= start) & reaches_over & is_provable
        )
        found = self._batches(query.order_by(BATCH.c.first).limit(1))
        return found[0] if found else None

    def pending_count(self) -> int:
        """Return how many signed transactions are not settled."""
        count: int = self._rows_of(_PENDING_COUNT)[0][0]
        return count

    def pending_transactions(self) -> list[OutboxEntry]:
        """Return the signed transactions that are not settled, in the order of their saving."""
        return [OutboxEntry(*row) for row in self._rows_of(_PENDING)]

    def _rows(self, query: Query) -> list[tuple[Any, ...]]:
        return self._rows_of(query.sql())

    def _rows_of(self, written: Written) -> list[tuple[Any, ...]]:
        with self._reader_lock, store_faults(self.path):
            return ask_written(self._reader, written)

    def _key(self, device: str) -> int:
        found = self._rows(DEVICE.select(DEVICE.c.device).where(DEVICE.c.name == device))
        if not found:
            raise StoreError(f"readings store {self.path}: no device is named {device!r}")
        key: int = found[0][0]
        return key

    def _position(self, device: str) -> Position:
        key = self._key(device)
        with self._snapshot():
            return find_position(self._reader, key, self._recent_run(key))

    def _find_time_ms(self, device: int, sequence: int) -> int | None:
        """Return the gateway time of a reading of the device with this key."""
        with self._snapshot():
            for encoded in _cut(self._recent_run(device), sequence, sequence).values():
                return decode_reading(encoded).gateway_time_ms
            return find_time_ms(self._reader, device, sequence)

    @abstractmethod
    def _recent_run(self, device: int) -> Run | None:
        """Return what the log holds of a device, by its key; inside of a snapshot."""

    @abstractmethod
    def _recent_runs(self) -> Mapping[int, Run]:
        """Return what the log holds, by device key; inside of a snapshot."""

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        """Let several questions see the same commits."""
        with self._reader_lock, store_faults(self.path):
            self._reader.execute("BEGIN").close()
            try:
                yield
            finally:
                self._reader.execute("COMMIT").close()

    def _readings(self, device: str, found: Mapping[int, bytes]) -> list[StoredReading]:
        try:
            return [
                StoredReading(device, _decode_reading(encoded), encoded)
                for _, encoded in sorted(found.items())
            ]
        except CodecError as error:
            raise damaged(self.path, f"a reading of {device}: {error}") from None

    def _batches(self, query: Query) -> list[BatchRecord]:
        return [
            BatchRecord(SettlementStatus(status), *plain) for status, *plain in self._rows(query)
        ]


class ReadingsReader(ReadingsQueries):
    """The database of a running or stopped gateway, read by another process."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open for reading only; raises `StoreError`."""
        return cls(path, open_reader(path))

    def close(self) -> None:
        """Give the file back."""
        self._reader.close()

    def _recent_run(self, device: int) -> Run | None:
        return read_log(self._reader).get(device)

    def _recent_runs(self) -> Mapping[int, Run]:
        return read_log(self._reader)


def _cut(run: Run | None, first: int, last: int) -> dict[int, bytes]:
    return {} if run is None else dict(run.cut(first, last))


def _select_batches() -> Select:
    """Select the status, then the other fields of `BatchRecord` in their order."""
    return (
        BATCH.select(
            BATCH.c.status,
            DEVICE.c.name,
            DEVICE.c.device_id,
            BATCH.c.profile_hash,
            BATCH.c.first,
            BATCH.c.count,
            BATCH.c.time_first_ms,
            BATCH.c.time_last_ms,
            BATCH.c.root,
            BATCH.c.transaction_id,
            OUTBOX.c.raw,
            BATCH.c.height,
            BATCH.c.evidence,
        )
        .join(DEVICE, on=(BATCH.c.device == DEVICE.c.device))
        .join(OUTBOX, on=(BATCH.c.transaction_id == OUTBOX.c.transaction_id))
    )
