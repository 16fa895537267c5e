"""The database file: its tables, its settings, and how it is opened.

Rule 1: WAL with synchronous=FULL, so a commit that returned is on disk.
Rule 2: a database of another version, or one that fails its check, is refused, never repaired.
Rule 3: the whole file is checked after an unclean end only: that takes a minute on a full card. The
last commit of a clean end says so in the table `clean_end`; opening the file takes that back.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from peewee import SqliteDatabase, Table

from gateway.errors import StoreError
from gateway.readings.faults import PRIMARY_CODE, damaged, describe_failure, store_faults

SCHEMA_VERSION: Final = 3
BUSY_TIMEOUT_S = 5  # longer than any checkpoint of another process's reader
# A commit of one reading or anchor changes a few rows and writes whole pages; a file keeps the size of its creation.
PAGE_BYTES = 1_024
CHECKPOINT_BYTES = 4 * 1024 * 1024  # of log, before each changed page is copied once into the file
JOURNAL_BYTES_MAX = 64 * 1024 * 1024  # the log is cut back to this after a checkpoint
WRITER_CACHE_KIB = 16 * 1024  # holds the index pages of some hundred busy devices


class Closable(Protocol):
    """Something that holds a file open."""

    def close(self) -> None:
        """Give the file back."""
        ...


# Readings stand in `log` or `page`, see `pages.py`. `page.device` has no foreign key: the only writer
# takes the number from the device's own row. A reading's key is its device and gapless sequence.
# A sequence stands in one batch at most, except in batches whose anchor failed.
# `outbox.anchors_batch` tells whether a standing batch needs the transaction.
_SCHEMA = """
CREATE TABLE device (
    device INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    device_id BLOB NOT NULL UNIQUE,
    secret BLOB NOT NULL,
    profile_hash BLOB NOT NULL
);
CREATE TABLE log (
    entry INTEGER PRIMARY KEY,
    runs BLOB NOT NULL
);
CREATE TABLE page (
    device INTEGER NOT NULL,
    first INTEGER NOT NULL,
    count INTEGER NOT NULL CHECK (count > 0),
    readings BLOB NOT NULL,
    PRIMARY KEY (device, first)
);
CREATE TABLE outbox (
    entry INTEGER PRIMARY KEY,
    transaction_id BLOB NOT NULL UNIQUE,
    purpose TEXT NOT NULL,
    raw BLOB NOT NULL,
    expiry_height INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'final', 'failed')),
    height INTEGER NOT NULL DEFAULT 0,
    created_ms INTEGER NOT NULL,
    anchors_batch INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX outbox_pending ON outbox (entry) WHERE status = 'pending';
CREATE INDEX outbox_spent ON outbox (created_ms) WHERE status <> 'pending' AND anchors_batch = 0;
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
CREATE INDEX batch_prunable ON batch (time_last_ms) WHERE status = 'final' AND holds_readings = 1;
CREATE INDEX batch_emptied ON batch (device, first) WHERE status = 'final' AND holds_readings = 0;
CREATE TABLE clean_end (closed_ms INTEGER NOT NULL);
"""

_DIALECT = SqliteDatabase(None)  # opens nothing: it tells the query builder whose SQL to write
DEVICE = Table("device").bind(_DIALECT)
OUTBOX = Table("outbox").bind(_DIALECT)
BATCH = Table("batch").bind(_DIALECT)

_SHARED_SETTINGS = ("foreign_keys = ON", "cell_size_check = ON")
_MAY_NOT_CREATE = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)
_WRITER_SETTINGS = (
    f"page_size = {PAGE_BYTES}",
    "journal_mode = WAL",
    f"wal_autocheckpoint = {CHECKPOINT_BYTES // PAGE_BYTES}",
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
        if _schema_version(connection) == 0:
            _create_tables(connection)
        _check_version(connection, path)
        if not _take_back_clean_end(connection):
            _check_integrity(connection, path)
    return connection


def close_clean(connection: sqlite3.Connection, path: Path, now_ms: int) -> None:
    """Make the last commit, which spares the next opening its check; raises `StoreError`."""
    with store_faults(path):
        connection.execute("INSERT INTO clean_end (closed_ms) VALUES (?)", (now_ms,)).close()


def open_reader(path: Path) -> sqlite3.Connection:
    """Open an existing file for reading only, beside its owner or without; raises `StoreError`."""
    if not path.exists():
        raise StoreError(
            f"readings store {path}: no such file: start the gateway once to create it"
        )
    address = f"{path.absolute().as_uri()}?mode=ro"
    try:
        return _open_checked(address, path)
    except sqlite3.OperationalError as error:
        # Without the log's files SQLite wants to create them. Where nobody may, and no log is left
        # to read, the file alone is the whole database and stays as it is.
        is_refused = error.sqlite_errorcode & PRIMARY_CODE in _MAY_NOT_CREATE
        if not is_refused or path.with_name(path.name + "-wal").exists():
            raise describe_failure(path, error) from error
    except sqlite3.Error as error:
        raise describe_failure(path, error) from error
    with store_faults(path):
        return _open_checked(f"{address}&immutable=1", path)


def _open_checked(address: str, path: Path) -> sqlite3.Connection:
    connection = _connect(address)
    with closed_on_error(connection):
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


def _take_back_clean_end(connection: sqlite3.Connection) -> bool:
    """Tell whether the last owner closed the file, and note that a new one has it open."""
    return connection.execute("DELETE FROM clean_end").rowcount > 0


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
