"""What a light node keeps: the end blocks that brought other agents, and the newest header. Bytes only.

Rule: what one answer brought is written in one durable transaction, so a power cut leaves all of it or none.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from peewee import BlobField, IntegerField, Model, SchemaManager, SqliteDatabase, TextField

from ledger.errors import StorageError
from ledger.storage.faults import storage_faults
from ledger.storage.lock import lock_for_writing
from ledger.storage.schema import WRITER_PRAGMAS, raw_connection

SCHEMA_VERSION = 1

_PUT_FACT = "INSERT OR REPLACE INTO fact (name, value) VALUES (?,?)"
_PUT_END = "INSERT OR REPLACE INTO end_block (epoch, header, proof, next_set) VALUES (?,?,?,?)"
_NEWEST, _MET, _CHAIN, _VERSION = "newest", "met", "chain_id", "schema_version"


class _FactRow(Model):
    """The newest header, the checkpoint that was met, the chain, the layout."""

    name = TextField(primary_key=True)
    value = BlobField()

    class Meta:
        """Options of the table."""

        table_name = "fact"
        strict_tables = True
        without_rowid = True


class _EndRow(Model):
    """The end block of an epoch: canonical header, finality proof, and the set that it names."""

    epoch = IntegerField(primary_key=True)
    header = BlobField()
    proof = BlobField()
    next_set = BlobField()

    class Meta:
        """Options of the table."""

        table_name = "end_block"
        strict_tables = True


@dataclass(frozen=True, slots=True)
class StoredEnd:
    """An end block: canonical header, finality proof, and the set that it names."""

    epoch: int
    header: bytes
    proof: bytes
    next_set: bytes


class TrailStore:
    """The file of a light node: one writer, one thread at a time."""

    def __init__(self, path: Path, database: SqliteDatabase, lock: IO[bytes]) -> None:
        self.path = path
        self._database = database
        self._lock = lock
        self._is_failed = False

    @classmethod
    def create_or_open(cls, path: Path, chain_id: bytes) -> Self:
        """Open the trail of a chain, created where there is none. Raises `StorageError`."""
        lock = lock_for_writing(path)
        database = SqliteDatabase(
            str(path),
            pragmas=WRITER_PRAGMAS,
            lock_type="IMMEDIATE",
            autoconnect=False,
            thread_safe=False,
            check_same_thread=False,
        )
        store = cls(path, database, lock)
        try:
            with storage_faults(path, "open"):
                database.connect()
                store._initialise(chain_id)
        except StorageError:
            store.close()
            raise
        return store

    def close(self) -> None:
        """Close the file and let another process write."""
        self._database.close()
        self._lock.close()

    def ends(self, *, before_epoch: int, newest: int | None = None) -> tuple[StoredEnd, ...]:
        """Return the end blocks of epochs below `before_epoch`, oldest first; at most the `newest` so many."""
        query = (
            "SELECT epoch, header, proof, next_set FROM end_block"
            " WHERE epoch < ? ORDER BY epoch DESC LIMIT ?"
        )
        limit = -1 if newest is None else newest
        with storage_faults(self.path, "read"):
            rows = raw_connection(self._database).execute(query, (before_epoch, limit)).fetchall()
        return tuple(StoredEnd(*row) for row in reversed(rows))

    def newest(self) -> bytes | None:
        """Return the newest header that was saved, as it was encoded."""
        return self._fact(_NEWEST)

    def met(self) -> str:
        """Return the checkpoint that was met, or nothing."""
        return (self._fact(_MET) or b"").decode()

    def save(self, ends: Iterable[StoredEnd], newest: bytes | None, met: str) -> None:
        """Write what an answer brought, durably. Raises `StorageError`, and then each time."""
        if self._is_failed:
            raise StorageError(f"{self.path}: a write failed before: restart the ledger")
        self._is_failed = True
        with storage_faults(self.path, "write"), self._database.atomic():
            connection = raw_connection(self._database)
            rows = [(end.epoch, end.header, end.proof, end.next_set) for end in ends]
            connection.executemany(_PUT_END, rows)
            if newest is not None:
                connection.execute(_PUT_FACT, (_NEWEST, newest))
            connection.execute(_PUT_FACT, (_MET, met.encode()))
        self._is_failed = False

    def _fact(self, name: str) -> bytes | None:
        query = "SELECT value FROM fact WHERE name = ?"
        with storage_faults(self.path, "read"):
            row = raw_connection(self._database).execute(query, (name,)).fetchone()
        return None if row is None else row[0]

    def _initialise(self, chain_id: bytes) -> None:
        with self._database.atomic():
            for table in (_FactRow, _EndRow):
                SchemaManager(table, database=self._database).create_all(safe=True)
            if self._fact(_VERSION) is None:
                facts = ((_VERSION, SCHEMA_VERSION.to_bytes(4, "big")), (_CHAIN, chain_id))
                raw_connection(self._database).executemany(_PUT_FACT, facts)
        if self._fact(_VERSION) != SCHEMA_VERSION.to_bytes(4, "big"):
            raise StorageError(
                f"{self.path}: written with another layout than {SCHEMA_VERSION}: install the version that wrote it"
            )
        if self._fact(_CHAIN) != chain_id:
            raise StorageError(
                f"{self.path}: follows another chain than the genesis file is of: put the right genesis.json"
                " back or use another home folder"
            )
