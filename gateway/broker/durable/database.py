"""The database file of sessions and retained messages: opening, checking, setting aside.

Rule 1: WAL with synchronous=FULL, so a commit that returned is on disk.
Rule 2: a damaged file is set aside under a name of its own, never repaired and never overwritten; the
broker starts with none of its sessions, and says so until it is started again.
Rule 3: a file of another version is refused: the program that wrote it can still read it.
"""

import os
import sqlite3
from pathlib import Path

from peewee import PeeweeException, SqliteDatabase

from gateway.broker.durable.schema import (
    SCHEMA_VERSION,
    create_tables,
    make_database,
    raw_connection,
)
from gateway.errors import BrokerError

SET_ASIDE_MAX = 1_000
PRIMARY_CODE = 0xFF  # the low byte of an extended result code
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


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


def open_database(path: Path) -> SqliteDatabase:
    """Open the file, create it if missing, check it all: it is small.

    Raises `DamagedDatabaseError`, or `BrokerError` with what to do.
    """
    try:
        path.touch(mode=0o600)  # before SQLite would create it with the process's own mask
    except OSError as error:
        raise BrokerError(f"MQTT sessions {path}: {error.strerror}: check the folder") from None
    database = make_database(str(path))
    try:
        database.connect()
        _prepare(database, path)
    except (sqlite3.Error, PeeweeException) as error:
        database.close()
        first = _find_first(error)
        if primary_code(first) in _DAMAGE:
            raise DamagedDatabaseError(str(first)) from None
        raise BrokerError(describe(path, first)) from None
    except BaseException:
        database.close()
        raise
    return database


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


def _find_first(error: BaseException) -> BaseException:
    """Return SQLite's error, which peewee wraps in one of its own."""
    while isinstance(error.__context__, sqlite3.Error | PeeweeException):
        error = error.__context__
    return error


def _prepare(database: SqliteDatabase, path: Path) -> None:
    if database.user_version == 0:
        create_tables(database)
    version: int = database.user_version
    if version != SCHEMA_VERSION:
        raise BrokerError(
            f"MQTT sessions {path}: its format is version {version} and this program reads version "
            f"{SCHEMA_VERSION}: use the program that wrote it, or move the file away"
        )
    finding: str = raw_connection(database).execute("PRAGMA quick_check(1)").fetchone()[0]
    if finding != "ok":
        raise DamagedDatabaseError(" ".join(finding.split()))
