"""What a light node keeps: the end blocks that brought other agents, and the newest header. Bytes only.

Rule 1: what one answer brought is written in one durable transaction, so a power cut leaves all of it or none.
Rule 2: plain `sqlite3`: for two small tables peewee would add 7 MB to the 32 MB of a light node's ledger process,
and 23 MB where psycopg is installed, which it imports.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from ledger.errors import CorruptStorageError, StorageError
from ledger.storage.lock import lock_for_writing

LAYOUT = 1

PRAGMAS = {
    "journal_mode": "WAL",
    "synchronous": "FULL",  # a commit that returned survives a power cut
    "cell_size_check": "ON",  # a corrupt page is refused where it is read
    "wal_autocheckpoint": 250,  # 1 MiB: writes are few
}
_TABLES = (
    "CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID",
    # The end block of an epoch: canonical header, finality proof, and the set that it names.
    "CREATE TABLE IF NOT EXISTS end_block (epoch INTEGER PRIMARY KEY, header BLOB NOT NULL, proof BLOB NOT NULL,"
    " next_set BLOB NOT NULL) STRICT",
)
_PUT_FACT = "INSERT OR REPLACE INTO fact (name, value) VALUES (?,?)"
_PUT_END = "INSERT OR REPLACE INTO end_block (epoch, header, proof, next_set) VALUES (?,?,?,?)"
_GET_FACT = "SELECT value FROM fact WHERE name = ?"
_GET_ENDS = "SELECT epoch, header, proof, next_set FROM end_block WHERE epoch < ? ORDER BY epoch DESC LIMIT ?"
_NEWEST, _MET, _CHAIN, _LAYOUT = "newest", "met", "chain_id", "layout"


@dataclass(frozen=True, slots=True)
class StoredEnd:
    """An end block: canonical header, finality proof, and the set that it names."""

    epoch: int
    header: bytes
    proof: bytes
    next_set: bytes


class TrailStore:
    """The file of a light node: one writer, one thread at a time."""

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: IO[bytes]) -> None:
        self.path = path
        self._connection = connection
        self._lock = lock
        self._is_failed = False

    @classmethod
    def create_or_open(cls, path: Path, chain_id: bytes) -> Self:
        """Open the trail of a chain, created where there is none. Raises `StorageError`."""
        lock = lock_for_writing(path)
        try:
            with _faults(path, "open"):
                connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        except StorageError:
            lock.close()
            raise
        store = cls(path, connection, lock)
        try:
            store._initialise(chain_id)
        except StorageError:
            store.close()
            raise
        return store

    def close(self) -> None:
        """Close the file and let another process write."""
        self._connection.close()
        self._lock.close()

    def ends(self, *, before_epoch: int, newest: int | None = None) -> tuple[StoredEnd, ...]:
        """Return the end blocks of epochs below `before_epoch`, oldest first; at most the `newest` so many."""
        limit = -1 if newest is None else newest
        with _faults(self.path, "read"):
            rows = self._connection.execute(_GET_ENDS, (before_epoch, limit)).fetchall()
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
        rows = [(end.epoch, end.header, end.proof, end.next_set) for end in ends]
        facts = [(_MET, met.encode()), *([] if newest is None else [(_NEWEST, newest)])]
        with self._writing():
            self._connection.executemany(_PUT_END, rows)
            self._connection.executemany(_PUT_FACT, facts)
        self._is_failed = False

    def _fact(self, name: str) -> bytes | None:
        with _faults(self.path, "read"):
            row = self._connection.execute(_GET_FACT, (name,)).fetchone()
        return None if row is None else row[0]

    def _initialise(self, chain_id: bytes) -> None:
        with _faults(self.path, "open"):
            for name, value in PRAGMAS.items():
                self._connection.execute(f"PRAGMA {name} = {value}")
        layout = LAYOUT.to_bytes(4, "big")
        with self._writing():
            for table in _TABLES:
                self._connection.execute(table)
            if self._fact(_LAYOUT) is None:
                facts = ((_LAYOUT, layout), (_CHAIN, chain_id))
                self._connection.executemany(_PUT_FACT, facts)
        if self._fact(_LAYOUT) != layout:
            raise StorageError(
                f"{self.path}: written with another layout than {LAYOUT}: install the version that wrote it"
            )
        if self._fact(_CHAIN) != chain_id:
            raise StorageError(
                f"{self.path}: follows another chain than the genesis file is of: put the right genesis.json"
                " back or use another home folder"
            )

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Run one durable transaction; an error rolls all of it back."""
        with _faults(self.path, "write"):
            self._connection.execute("BEGIN IMMEDIATE")
            with self._connection:  # commits, or rolls back
                yield


@contextmanager
def _faults(path: Path, doing: str) -> Iterator[None]:
    """Turn any error of SQLite into `StorageError` or `CorruptStorageError`."""
    try:
        yield
    except sqlite3.Error as error:
        is_damaged = type(error) is sqlite3.DatabaseError  # malformed, or no database at all
        if is_damaged:
            raise CorruptStorageError(
                f"{path}: the headers in it are damaged ({error}): move it away, and set ledger.checkpoint to what"
                " `smartshare chain checkpoint` prints on a node that you trust"
            ) from error
        raise StorageError(
            f"{path}: cannot {doing} the headers ({error}): check the disk and its free space"
        ) from error
