"""A chain database made of a verified snapshot instead of a genesis.

Rule: it is made beside its place and moved there whole, so a power cut leaves either none or all of it.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from peewee import SqliteDatabase

from ledger.codec.canonical import encode
from ledger.errors import StorageError
from ledger.storage.faults import storage_faults
from ledger.storage.pruning import HEIGHT_BYTES, PRUNED_HEIGHT
from ledger.storage.schema import (
    SCHEMA_VERSION,
    WRITER_PRAGMAS,
    AgentSetRow,
    BlockRow,
    MetaRow,
    create_tables,
    raw_connection,
)
from ledger.types.genesis import Genesis


@dataclass(frozen=True, slots=True)
class EndBlock:
    """An epoch's end block: canonical header and finality proof, and the set that it names."""

    height: int
    hash: bytes
    header: bytes
    proof: bytes
    next_epoch: int
    next_set: bytes


def install_chain(
    path: Path, genesis: Genesis, ends: Sequence[EndBlock], state: Sequence[tuple[bytes, bytes]]
) -> None:
    """Write the chain database whose newest block is the last of `ends`; replaces one that is there.

    Nobody may have it open. Raises `StorageError`.
    """
    fresh = path.with_name(path.name + ".installing")
    try:
        for remainder in (fresh, *_side_files(fresh)):
            remainder.unlink(missing_ok=True)
        _write(fresh, genesis, ends, state)
        for remainder in _side_files(path):
            remainder.unlink(missing_ok=True)
        fresh.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise StorageError(f"{path}: cannot be created: {error.strerror}") from error


def _write(
    path: Path, genesis: Genesis, ends: Sequence[EndBlock], state: Sequence[tuple[bytes, bytes]]
) -> None:
    database = SqliteDatabase(str(path), pragmas=WRITER_PRAGMAS, autoconnect=False)
    facts = {
        "schema_version": SCHEMA_VERSION.to_bytes(4, "big"),
        "genesis": encode(genesis),
        PRUNED_HEIGHT: ends[-1].height.to_bytes(HEIGHT_BYTES, "big"),
    }
    with storage_faults(path, "write"):
        database.connect()
        try:
            with database.atomic():
                create_tables(database)
                for name, value in facts.items():
                    MetaRow.insert(name=name, value=value).execute(database)
                for end in ends:
                    _write_end(database, end)
                raw_connection(database).executemany(
                    "INSERT INTO state (key, value) VALUES (?, ?)", state
                )
            raw_connection(database).execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            database.close()


def _write_end(database: SqliteDatabase, end: EndBlock) -> None:
    BlockRow.insert(height=end.height, hash=end.hash, header=end.header, proof=end.proof).execute(
        database
    )
    AgentSetRow.insert(epoch=end.next_epoch, height=end.height, payload=end.next_set).execute(
        database
    )


def _side_files(path: Path) -> tuple[Path, Path]:
    return path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
