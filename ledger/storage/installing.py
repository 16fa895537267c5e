"""A chain database made of a verified snapshot: where there is none yet, or in place of an older one.

Rule 1: it is made beside its place and moved there whole, so a power cut leaves either none or all of it,
and the older one until then.
Rule 2: a write-ahead file belongs to the database that wrote it: the older one's is folded in and gone,
durably, before another database takes that name.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from peewee import SqliteDatabase

from ledger.codec.canonical import encode
from ledger.errors import StorageError
from ledger.storage.bodies import NO_BODY
from ledger.storage.faults import storage_faults
from ledger.storage.lock import lock_for_writing
from ledger.storage.pruning import HEIGHT_BYTES, PRUNED_HEIGHT
from ledger.storage.schema import (
    FOLDING_PRAGMAS,
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

    Raises `StorageError`, also where another process writes or reads it: then nothing has changed.
    """
    with lock_for_writing(path):
        remove_unfinished(path)
        fresh = _beside(path)
        try:
            _write(fresh, genesis, ends, state)
            if path.exists():
                _fold(path)
            _sync(fresh)
            _sync(path.parent)
            fresh.replace(path)
            _sync(path.parent)
        except OSError as error:
            raise StorageError(f"{path}: cannot be created: {error.strerror}") from error
        finally:
            remove_unfinished(path)


def remove_unfinished(path: Path) -> None:
    """Take away what an installation that was cut short has left. For whoever has the writer's lock."""
    fresh = _beside(path)
    try:
        for remainder in (fresh, *_side_files(fresh)):
            remainder.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{fresh}: cannot be removed: {error.strerror}") from error


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".installing")


def _fold(path: Path) -> None:
    """Leave all of a database in its one file: SQLite syncs that and removes the write-ahead file."""
    database = SqliteDatabase(str(path), pragmas=FOLDING_PRAGMAS, autoconnect=False)
    with storage_faults(path, "close"):
        database.connect()
        try:
            raw_connection(database).execute("PRAGMA journal_mode = DELETE")
        finally:
            database.close()


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
    BlockRow.insert(
        height=end.height, hash=end.hash, header=end.header, proof=end.proof, body=NO_BODY
    ).execute(database)
    AgentSetRow.insert(epoch=end.next_epoch, height=end.height, payload=end.next_set).execute(
        database
    )


def _side_files(path: Path) -> list[Path]:
    return [path.with_name(path.name + suffix) for suffix in ("-journal", "-wal", "-shm")]


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
