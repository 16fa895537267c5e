"""What goes when it is too old or the database is too large, oldest first, in bounded chunks.

Rule 1: nothing that is not yet final is dropped: neither a reading nor a signed transaction.
Rule 2: of each device its newest final batch stays, without its readings: the device's next
sequence and its next anchor follow from it.
Rule 3: the log was folded in the same commit: only pages are looked at.
Under a size limit, settled transactions that anchor nothing go before any reading does.
"""

import sqlite3
from dataclasses import dataclass

from gateway.readings.pages import drop_from_pages
from gateway.readings.records import Pruned, SettlementStatus
from gateway.readings.schema import BATCH, OUTBOX
from gateway.readings.statements import ask, ask_first, write

# Of one chunk, which is one commit that new readings wait for: some milliseconds of work each.
CHUNK_READINGS = 1_000
CHUNK_BATCHES = 64
CHUNK_TRANSACTIONS = 64

_IS_FINAL = BATCH.c.status == SettlementStatus.FINAL.value
# Said beside `_IS_FINAL`, it lets the index of standing batches be used.
_IS_STANDING = BATCH.c.status != SettlementStatus.FAILED.value
_IS_EMPTY = BATCH.c.holds_readings == 0


@dataclass(frozen=True, slots=True)
class Limits:
    """What may stay: what is not older than `cutoff_ms` (Unix ms; None: any age), in `bytes_max`."""

    cutoff_ms: int | None
    bytes_max: int


def prune_chunk(connection: sqlite3.Connection, limits: Limits) -> Pruned:
    """Drop the oldest of what is over the limits, up to a chunk; one of nothing is the last."""
    transactions = _drop_spent(connection, limits)
    batches = readings = 0
    if transactions == CHUNK_TRANSACTIONS:
        return Pruned(0, 0, transactions, compute_bytes_used(connection))  # more of them may wait
    while batches < CHUNK_BATCHES and readings < CHUNK_READINGS:
        dropped = _drop_oldest_batch(connection, limits)
        if dropped is None:
            break
        batches += 1
        readings += dropped
    return Pruned(batches, readings, transactions, compute_bytes_used(connection))


def drop_superseded(connection: sqlite3.Connection, device: int, first: int) -> None:
    """Drop the device's batches before `first` that retention emptied: a final one follows them."""
    is_superseded = (BATCH.c.device == device) & (BATCH.c.first < first) & _IS_FINAL & _IS_EMPTY
    for (transaction_id,) in ask(
        connection, BATCH.select(BATCH.c.transaction_id).where(is_superseded)
    ):
        _drop_transaction(connection, transaction_id)


def compute_bytes_used(connection: sqlite3.Connection) -> int:
    """Return the bytes of the database that hold data; free pages are used again."""
    pages, free, page_size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    used: int = (pages - free) * page_size
    return used


def _must_go(connection: sqlite3.Connection, time_ms: int, limits: Limits) -> bool:
    if limits.cutoff_ms is not None and time_ms < limits.cutoff_ms:
        return True
    return compute_bytes_used(connection) > limits.bytes_max


def _drop_spent(connection: sqlite3.Connection, limits: Limits) -> int:
    """Drop settled transactions that anchor no standing batch, and failed batches with theirs."""
    is_settled = OUTBOX.c.status != SettlementStatus.PENDING.value
    oldest = (
        OUTBOX.select(OUTBOX.c.transaction_id, OUTBOX.c.created_ms)
        .where(is_settled & (OUTBOX.c.anchors_batch == 0))
        .order_by(OUTBOX.c.created_ms)
        .limit(CHUNK_TRANSACTIONS)
    )
    dropped = 0
    for transaction_id, created_ms in ask(connection, oldest):
        if not _must_go(connection, created_ms, limits):
            break
        _drop_transaction(connection, transaction_id)
        dropped += 1
    return dropped


def _drop_oldest_batch(connection: sqlite3.Connection, limits: Limits) -> int | None:
    """Drop the oldest final batch with its readings; return their count, or None if all may stay."""
    oldest = (
        BATCH.select(
            BATCH.c.transaction_id,
            BATCH.c.device,
            BATCH.c.first,
            BATCH.c.count,
            BATCH.c.time_last_ms,
        )
        .where(_IS_FINAL & (BATCH.c.holds_readings == 1))
        .order_by(BATCH.c.time_last_ms)
        .limit(1)
    )
    found = ask_first(connection, oldest)
    if found is None:
        return None
    transaction_id, device, first, count, time_last_ms = found
    if not _must_go(connection, time_last_ms, limits):
        return None
    if _is_newest_final(connection, device, first):
        is_it = BATCH.c.transaction_id == transaction_id
        write(connection, BATCH.update(holds_readings=0).where(is_it))
    else:
        _drop_transaction(connection, transaction_id)
    return drop_from_pages(connection, device, first, first + count - 1)


def _is_newest_final(connection: sqlite3.Connection, device: int, first: int) -> bool:
    is_later = (BATCH.c.device == device) & (BATCH.c.first > first) & _IS_FINAL & _IS_STANDING
    return ask_first(connection, BATCH.select(BATCH.c.first).where(is_later).limit(1)) is None


def _drop_transaction(connection: sqlite3.Connection, transaction_id: bytes) -> None:
    """Drop a transaction, and the batch that it anchors if it does."""
    write(connection, BATCH.delete().where(BATCH.c.transaction_id == transaction_id))
    write(connection, OUTBOX.delete().where(OUTBOX.c.transaction_id == transaction_id))
