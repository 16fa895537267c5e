"""What is written besides readings: devices, batches, signed transactions, and what retention drops.

Each function runs inside a commit of the one writer, and changes nothing when it returns False.
"""

import sqlite3
from typing import Any

from peewee import Query

from gateway.pipeline.batch import Batch
from gateway.readings.queries import find_next_unanchored
from gateway.readings.records import OutboxEntry, SettlementStatus
from gateway.readings.schema import BATCH, DEVICE, OUTBOX, READING


def _write(connection: sqlite3.Connection, query: Query) -> int:
    """Run a statement and return how many rows it changed."""
    sql, values = query.sql()
    return connection.execute(sql, values).rowcount


def save_device(
    connection: sqlite3.Connection, name: str, device_id: bytes, secret: bytes, profile_hash: bytes
) -> int:
    """Add a device and return its key."""
    sql, values = DEVICE.insert(
        name=name, device_id=device_id, secret=secret, profile_hash=profile_hash
    ).sql()
    key = connection.execute(sql, values).lastrowid
    assert key is not None
    return key


def save_profile(connection: sqlite3.Connection, device: int, profile_hash: bytes) -> None:
    """Note the profile that is in force from the next reading on."""
    _write(connection, DEVICE.update(profile_hash=profile_hash).where(DEVICE.c.device == device))


def save_transaction(connection: sqlite3.Connection, entry: OutboxEntry, created_ms: int) -> None:
    """Keep a signed transaction; keeping the same one again changes nothing."""
    _write(
        connection,
        OUTBOX.insert(
            transaction_id=entry.transaction_id,
            purpose=entry.purpose,
            raw=entry.raw,
            expiry_height=entry.expiry_height,
            status=SettlementStatus.PENDING.value,
            created_ms=created_ms,
        ).on_conflict_ignore(),
    )


def save_batch(
    connection: sqlite3.Connection, device: int, batch: Batch, entry: OutboxEntry, created_ms: int
) -> bool:
    """Keep a batch and its signed anchor; False if it does not start where the last one ended."""
    if batch.first != find_next_unanchored(connection, device):
        return False
    save_transaction(connection, entry, created_ms)
    _write(
        connection,
        BATCH.insert(
            device=device,
            profile_hash=batch.profile_hash,
            first=batch.first,
            count=batch.count,
            time_first_ms=batch.time_first_ms,
            time_last_ms=batch.time_last_ms,
            root=batch.root,
            transaction_id=entry.transaction_id,
            status=SettlementStatus.PENDING.value,
        ),
    )
    return True


def mark_transaction(
    connection: sqlite3.Connection, transaction_id: bytes, status: SettlementStatus, height: int
) -> bool:
    """Note what became of a pending transaction."""
    is_it = OUTBOX.c.transaction_id == transaction_id
    is_pending = OUTBOX.c.status == SettlementStatus.PENDING.value
    update = OUTBOX.update(status=status.value, height=height).where(is_it & is_pending)
    return _write(connection, update) == 1


def mark_batch_final(
    connection: sqlite3.Connection, transaction_id: bytes, height: int, evidence: bytes
) -> bool:
    """Note that a pending batch's anchor is final, and its evidence."""
    if not mark_transaction(connection, transaction_id, SettlementStatus.FINAL, height):
        return False
    update = BATCH.update(status=SettlementStatus.FINAL.value, height=height, evidence=evidence)
    return _write(connection, update.where(BATCH.c.transaction_id == transaction_id)) == 1


def mark_batch_failed(connection: sqlite3.Connection, transaction_id: bytes, height: int) -> bool:
    """Give up a pending batch and the device's later ones, whose anchors build on it."""
    is_pending = BATCH.c.status == SettlementStatus.PENDING.value
    found = _first_row(
        connection,
        BATCH.select(BATCH.c.device, BATCH.c.first).where(
            (BATCH.c.transaction_id == transaction_id) & is_pending
        ),
    )
    if found is None:
        return False
    device, first = found
    is_lost = (BATCH.c.device == device) & (BATCH.c.first >= first) & is_pending
    lost = BATCH.select(BATCH.c.transaction_id).where(is_lost)
    failed = SettlementStatus.FAILED.value
    _write(
        connection,
        OUTBOX.update(status=failed, height=height).where(OUTBOX.c.transaction_id.in_(lost)),
    )
    _write(connection, BATCH.update(status=failed, height=height).where(is_lost))
    return True


def compute_bytes_used(connection: sqlite3.Connection) -> int:
    """Return the bytes of the database that hold data; free pages are used again."""
    pages, free, page_size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    used: int = (pages - free) * page_size
    return used


def prune_oldest(connection: sqlite3.Connection, cutoff_ms: int, bytes_max: int) -> int | None:
    """Drop the readings of the oldest final batch if they are too old or the file is too large.

    Returns how many readings went, or None if there is nothing to drop.
    """
    is_prunable = (BATCH.c.status == SettlementStatus.FINAL.value) & (BATCH.c.holds_readings == 1)
    oldest = _first_row(
        connection,
        BATCH.select(
            BATCH.c.batch, BATCH.c.device, BATCH.c.first, BATCH.c.count, BATCH.c.time_last_ms
        )
        .where(is_prunable)
        .order_by(BATCH.c.time_last_ms)
        .limit(1),
    )
    if oldest is None:
        return None
    batch, device, first, count, time_last_ms = oldest
    if time_last_ms >= cutoff_ms and compute_bytes_used(connection) <= bytes_max:
        return None
    _write(connection, BATCH.update(holds_readings=0).where(BATCH.c.batch == batch))
    is_in_batch = READING.c.sequence.between(first, first + count - 1)
    return _write(connection, READING.delete().where((READING.c.device == device) & is_in_batch))


def _first_row(connection: sqlite3.Connection, query: Query) -> tuple[Any, ...] | None:
    sql, values = query.sql()
    row: tuple[Any, ...] | None = connection.execute(sql, values).fetchone()
    return row
