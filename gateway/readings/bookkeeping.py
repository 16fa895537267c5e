"""What is written besides readings: devices, batches and signed transactions.

Each function that writes runs inside a commit of the one writer, and changes nothing when it returns
False or None.
"""

import sqlite3
from collections.abc import Mapping

from gateway.pipeline.batch import Batch
from gateway.readings.progress import Position, find_unanchored
from gateway.readings.records import OutboxEntry, SettlementStatus
from gateway.readings.retention import drop_superseded
from gateway.readings.schema import BATCH, DEVICE, OUTBOX
from gateway.readings.sealing import DeviceSealer
from gateway.readings.statements import ask, ask_first, write


def load_sealers(
    connection: sqlite3.Connection, positions: Mapping[int, Position]
) -> dict[str, DeviceSealer]:
    """Return what seals each device's next readings, by its name."""
    sealers = {}
    columns = DEVICE.c.device, DEVICE.c.name, DEVICE.c.secret, DEVICE.c.device_id
    query = DEVICE.select(*columns, DEVICE.c.profile_hash)
    for key, name, secret, device_id, profile_hash in ask(connection, query):
        sealer = DeviceSealer(key, name, secret, device_id, profile_hash)
        sealer.next_sequence = positions[key].next_sequence
        sealers[name] = sealer
    return sealers


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
    write(connection, DEVICE.update(profile_hash=profile_hash).where(DEVICE.c.device == device))


def save_transaction(connection: sqlite3.Connection, entry: OutboxEntry, created_ms: int) -> None:
    """Keep a signed transaction; keeping the same one again changes nothing."""
    write(
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
) -> tuple[int, int] | None:
    """Keep a batch and its signed anchor.

    Returns the device's key and the first sequence that no standing batch holds then, or None if the
    batch does not start where the last one ended.
    """
    if batch.first != find_unanchored(connection, device):
        return None
    save_transaction(connection, entry, created_ms)
    is_it = OUTBOX.c.transaction_id == entry.transaction_id
    write(connection, OUTBOX.update(anchors_batch=1).where(is_it))
    write(
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
    return device, batch.last + 1


def mark_transaction(
    connection: sqlite3.Connection, transaction_id: bytes, status: SettlementStatus, height: int
) -> bool:
    """Note what became of a pending transaction."""
    is_it = OUTBOX.c.transaction_id == transaction_id
    is_pending = OUTBOX.c.status == SettlementStatus.PENDING.value
    update = OUTBOX.update(status=status.value, height=height).where(is_it & is_pending)
    return write(connection, update) == 1


def mark_batch_final(
    connection: sqlite3.Connection, transaction_id: bytes, height: int, evidence: bytes
) -> bool:
    """Note that a pending batch's anchor is final, and its evidence; emptied ones before it go."""
    if not mark_transaction(connection, transaction_id, SettlementStatus.FINAL, height):
        return False
    update = BATCH.update(status=SettlementStatus.FINAL.value, height=height, evidence=evidence)
    is_it = BATCH.c.transaction_id == transaction_id
    write(connection, update.where(is_it))
    found = ask_first(connection, BATCH.select(BATCH.c.device, BATCH.c.first).where(is_it))
    if found is None:
        return False
    device, first = found
    drop_superseded(connection, device, first)
    return True


def mark_batch_failed(
    connection: sqlite3.Connection, transaction_id: bytes, height: int
) -> tuple[int, int] | None:
    """Give up a pending batch and the device's later ones, whose anchors build on it.

    Returns the device's key and the first sequence that no standing batch holds then, or None if no
    such batch is pending.
    """
    is_pending = BATCH.c.status == SettlementStatus.PENDING.value
    found = ask_first(
        connection,
        BATCH.select(BATCH.c.device, BATCH.c.first).where(
            (BATCH.c.transaction_id == transaction_id) & is_pending
        ),
    )
    if found is None:
        return None
    device, first = found
    is_standing = BATCH.c.status != SettlementStatus.FAILED.value  # that index finds them
    is_lost = (BATCH.c.device == device) & (BATCH.c.first >= first) & is_pending & is_standing
    lost = BATCH.select(BATCH.c.transaction_id).where(is_lost)
    failed = SettlementStatus.FAILED.value
    write(
        connection,
        OUTBOX.update(status=failed, height=height, anchors_batch=0).where(
            OUTBOX.c.transaction_id.in_(lost)
        ),
    )
    write(connection, BATCH.update(status=failed, height=height).where(is_lost))
    return device, find_unanchored(connection, device)
