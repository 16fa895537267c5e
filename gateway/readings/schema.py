"""The database file: its tables, its settings, and how it is opened.

Rule 1: WAL with synchronous=FULL, so a commit that returned is on disk.
Rule 2: a database of another version, or one that fails its check, is refused, never repaired.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from peewee import SqliteDatabase, Table

from gateway.errors import StoreError
from gateway.readings.faults import damaged, store_faults

SCHEMA_VERSION: Final = 1
BUSY_TIMEOUT_S = 5  # longer than any checkpoint of another process's reader
JOURNAL_BYTES_MAX = 64 * 1024 * 1024  # the log is cut back to this after a checkpoint
WRITER_CACHE_KIB = 16 * 1024  # holds the index pages of some hundred busy devices


class Closable(Protocol):
    """Something that holds a file open."""

    def close(self) -> None:
        """Give the file back."""
        ...


# `reading.device` has no foreign key: the check would cost every row a lookup, and the only writer
# takes the number from the device's own row. A reading's key is its device and gapless sequence.
# A sequence stands in one batch at most, except in batches whose anchor failed.
_SCHEMA = """
CREATE TABLE device (
    device INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    device_id BLOB NOT NULL UNIQUE,
    secret BLOB NOT NULL,
    profile_hash BLOB NOT NULL
);
CREATE TABLE reading (
    device INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    gateway_time_ms INTEGER NOT NULL,
    encoded BLOB NOT NULL,
    PRIMARY KEY (device, sequence)
);
CREATE TABLE outbox (
    entry INTEGER PRIMARY KEY,
    transaction_id BLOB NOT NULL UNIQUE,
    purpose TEXT NOT NULL,
    raw BLOB NOT NULL,
    expiry_height INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'final', 'failed')),
    height INTEGER NOT NULL DEFAULT 0,
    created_ms INTEGER NOT NULL
);
CREATE INDEX outbox_pending ON outbox (entry) WHERE status = 'pending';
CREATE TABLE batch (
    batch INTEGER PRIMARY KEY,
    device INTEGER NOT NULL REFERENCES device (device),
    profile_hash BLOB NOT NULL,
    first INTEGER NOT NULL,
    count INTEGER NOT NULL CHECK (count > 0),
    time_first_ms INTEGER NOT NULL,
    time_last_ms INTEGER NOT NULL,
    root BLOB NOT NULL,
    transaction_id BLOB NOT NULL UNIQUE REFERENCES outbox (transaction_id),
    status TEXT NOT NULL CHECK (status IN ('pending', 'final', 'failed')),
    height INTEGER NOT NULL DEFAULT 0,
    evidence BLOB NOT NULL DEFAULT x'',
    holds_readings INTEGER NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX batch_range ON batch (device, first) WHERE status <> 'failed';
CREATE INDEX batch_status ON batch (status, batch);
CREATE INDEX batch_prunable ON batch (time_last_ms) WHERE status = 'final' AND holds_readings = 1;
"""

_DIALECT = SqliteDatabase(None)  # opens nothing: it tells the query builder whose SQL to write
DEVICE = Table("device").bind(_DIALECT)
READING = Table("reading").bind(_DIALECT)
OUTBOX = Table("outbox").bind(_DIALECT)
BATCH = Table("batch").bind(_DIALECT)

_SHARED_SETTINGS = ("foreign_keys = ON", "cell_size_check = ON")
_WRITER_SETTINGS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    f"journal_size_limit = {JOURNAL_BYTES_MAX}",
    f"cache_size = -{WRITER_CACHE_KIB}",
)


def open_writer(path: Path) -> sqlite3.Connection:
    """Open the file for its owner, create it if missing, check it; raises `StoreError`."""
    try:
        path.touch(mode=0o600)  # before SQLite would create it with the process's own mask
    except OSError as error:
        raise StoreError(f"readings store {path}: {error.strerror}: check the folder") from None
    with store_faults(path):
        connection = _connect(str(path))
    with closed_on_error(connection), store_faults(path):
        _apply(connection, _SHARED_SETTINGS + _WRITER_SETTINGS)
        _check_integrity(connection, path)
        if _schema_version(connection) == 0:
            _create_tables(connection)
        _check_version(connection, path)
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Open an existing file for reading only, beside its owner; raises `StoreError`."""
    if not path.exists():
        raise StoreError(
            f"readings store {path}: no such file: start the gateway once to create it"
        )
    with store_faults(path):
        connection = _connect(f"{path.absolute().as_uri()}?mode=ro")
    with closed_on_error(connection), store_faults(path):
        _apply(connection, _SHARED_SETTINGS)
        _check_version(connection, path)
    return connection


@contextmanager
def closed_on_error(resource: Closable) -> Iterator[None]:
    """Close what was opened if a later step of opening fails."""
    try:
        yield
    except BaseException:
        resource.close()
        raise


def _connect(target: str) -> sqlite3.Connection:
    # Transactions are ours to begin and end; one thread at a time uses the connection.
    return sqlite3.connect(
        target,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
        uri=target.startswith("file:"),
    )


def _apply(connection: sqlite3.Connection, settings: tuple[str, ...]) -> None:
    for setting in settings:
        connection.execute(f"PRAGMA {setting}").close()


def _schema_version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def _check_integrity(connection: sqlite3.Connection, path: Path) -> None:
    finding: str = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if finding != "ok":
        raise damaged(path, finding)


def _create_tables(connection: sqlite3.Connection) -> None:
    connection.executescript(
        f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
    )


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    version = _schema_version(connection)
    if version != SCHEMA_VERSION:
        raise StoreError(
            f"readings store {path}: its format is version {version} and this program reads "
            f"version {SCHEMA_VERSION}: use the program that wrote it, or move the file away"
        )
