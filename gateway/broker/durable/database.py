"""The database file of sessions and retained messages: opening, checking, setting aside.

Rule 1: WAL with synchronous=FULL, so a commit that returned is on disk.
Rule 2: a damaged file is set aside under a name of its own, never repaired and never overwritten; the
broker starts with none of its sessions, and says so until it is started again.
Rule 3: a file of another version is refused: the program that wrote it can still read it.
"""

import os
import sqlite3
from pathlib import Path
from typing import Final

from gateway.errors import BrokerError

SCHEMA_VERSION: Final = 1
BUSY_TIMEOUT_S = 5
PAGE_BYTES = 1_024  # a commit is a few small rows, and writes whole pages
JOURNAL_BYTES_MAX = (
    8 * 1024 * 1024
)  # then the log is copied into the file: each page once, its newest
SET_ASIDE_MAX = 1_000
PRIMARY_CODE = 0xFF  # the low byte of an extended result code
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

# No foreign keys: the only writer keeps the rows together, and each check would cost a look-up.
# `retained` has row ids: a table without keeps only 231 bytes of a row in a page of this size.
# A delivery without a message is one of which only the packet id is left.
_SCHEMA = """
CREATE TABLE session (
    session INTEGER PRIMARY KEY,
    principal TEXT NOT NULL,
    client_id TEXT NOT NULL,
    rights BLOB NOT NULL,
    expiry_s INTEGER NOT NULL,
    left_at_ms INTEGER,
    sent_number INTEGER NOT NULL,
    UNIQUE (principal, client_id)
);
CREATE TABLE subscription (
    session INTEGER NOT NULL,
    filter TEXT NOT NULL,
    options BLOB NOT NULL,
    PRIMARY KEY (session, filter)
) WITHOUT ROWID;
CREATE TABLE message (message INTEGER PRIMARY KEY, encoded BLOB NOT NULL);
CREATE TABLE delivery (
    session INTEGER NOT NULL,
    number INTEGER NOT NULL,
    packet_id INTEGER NOT NULL,
    message INTEGER,
    qos INTEGER NOT NULL,
    is_retained INTEGER NOT NULL,
    subscription_ids BLOB NOT NULL,
    PRIMARY KEY (session, number)
) WITHOUT ROWID;
CREATE TABLE received (
    session INTEGER NOT NULL,
    packet_id INTEGER NOT NULL,
    PRIMARY KEY (session, packet_id)
) WITHOUT ROWID;
CREATE TABLE retained (topic TEXT PRIMARY KEY, owner TEXT, encoded BLOB NOT NULL);
"""
_SETTINGS = (
    f"page_size = {PAGE_BYTES}",
    "journal_mode = WAL",
    f"wal_autocheckpoint = {JOURNAL_BYTES_MAX // PAGE_BYTES}",
    "synchronous = FULL",
    "cell_size_check = ON",
    f"journal_size_limit = {JOURNAL_BYTES_MAX}",
)


class DamagedDatabaseError(Exception):
    """The file contradicts itself; the text says how."""


def describe(path: Path, error: BaseException) -> str:
    """Return one line that says what went wrong and what to do."""
    code = primary_code(error)
    if code == sqlite3.SQLITE_FULL:
        return f"MQTT sessions {path}: the disk is full: free some space"
    if code in _DAMAGE:
        return f"MQTT sessions {path}: the file is damaged ({error}): start the broker again"
    if not isinstance(error, sqlite3.Error):
        return f"MQTT sessions {path}: internal error: {error!r}"
    return f"MQTT sessions {path}: {error}: check the disk, then start the broker again"


def primary_code(error: BaseException) -> int:
    """Return SQLite's result code without its details."""
    return int(getattr(error, "sqlite_errorcode", 0) or 0) & PRIMARY_CODE


def open_database(path: Path) -> sqlite3.Connection:
    """Open the file, create it if missing, check it all: it is small.

    Raises `DamagedDatabaseError`, or `BrokerError` with what to do.
    """
    try:
        path.touch(mode=0o600)  # before SQLite would create it with the process's own mask
    except OSError as error:
        raise BrokerError(f"MQTT sessions {path}: {error.strerror}: check the folder") from None
    try:
        connection = sqlite3.connect(
            path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
    except sqlite3.Error as error:
        raise BrokerError(describe(path, error)) from None
    try:
        _prepare(connection, path)
    except sqlite3.Error as error:
        connection.close()
        if primary_code(error) in _DAMAGE:
            raise DamagedDatabaseError(str(error)) from None
        raise BrokerError(describe(path, error)) from None
    except BaseException:
        connection.close()
        raise
    return connection


def set_aside(path: Path, finding: str) -> str:
    """Rename a damaged file and its log; return the line that says so."""
    for number in range(1, SET_ASIDE_MAX):
        aside = path.with_name(f"{path.name}.damaged-{number}")
        if not aside.exists():
            break
    else:
        raise BrokerError(f"MQTT sessions {path}: damaged too often: check the disk")
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    _sync_folder(path.parent)
    return (
        f"the stored MQTT sessions were damaged ({finding}) and are set aside as {aside}: clients "
        "must subscribe again, and messages that waited for them are in that file"
    )


def find_set_aside(path: Path) -> list[Path]:
    """Return the damaged files that were set aside, the oldest first."""
    found = path.parent.glob(f"{path.name}.damaged-*")
    return sorted(one for one in found if not one.name.endswith(("-wal", "-shm")))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    for setting in _SETTINGS:
        connection.execute(f"PRAGMA {setting}").close()
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        connection.executescript(
            f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
        )
        version = SCHEMA_VERSION
    if version != SCHEMA_VERSION:
        raise BrokerError(
            f"MQTT sessions {path}: its format is version {version} and this program reads version "
            f"{SCHEMA_VERSION}: use the program that wrote it, or move the file away"
        )
    finding: str = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if finding != "ok":
        raise DamagedDatabaseError(" ".join(finding.split()))
