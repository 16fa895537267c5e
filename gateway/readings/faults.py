"""SQLite's errors as one line for people. None but a full disk is retried.

After a failed fsync, or any other failed write, nobody knows what is on disk, so the process ends and
starts again from what a fresh open can read.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.errors import StoreError

PRIMARY_CODE = 0xFF  # the low byte of an extended result code
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class DamagedRowError(Exception):
    """A row that this program did not write; inside of `store_faults` it becomes a `StoreError`."""


class DiskFullError(StoreError):
    """A write found no room: none of it is on disk, so it can be tried again."""


def damaged(path: Path, finding: str) -> StoreError:
    """Return the error for a database that contradicts itself."""
    return StoreError(
        f"readings store {path}: the file is damaged ({finding}): "
        "restore it from a backup, or move it away to start an empty one"
    )


def describe_failure(path: Path, error: sqlite3.Error) -> StoreError:
    """Return the error for what SQLite said."""
    code = getattr(error, "sqlite_errorcode", 0) & PRIMARY_CODE
    if code in _DAMAGE:
        return damaged(path, str(error))
    if code == sqlite3.SQLITE_FULL:
        return DiskFullError(f"readings store {path}: the disk is full: free some space")
    if code == sqlite3.SQLITE_IOERR:
        advice = f"{error}: check the disk and its free space, then start the gateway again"
    else:
        advice = f"{error}: check the file and its folder"
    return StoreError(f"readings store {path}: {advice}")


@contextmanager
def store_faults(path: Path) -> Iterator[None]:
    """Turn any error of SQLite, and what contradicts itself, into a `StoreError`."""
    try:
        yield
    except DamagedRowError as error:
        raise damaged(path, str(error)) from None
    except sqlite3.Error as error:
        raise describe_failure(path, error) from error


@contextmanager
def rolled_back_on_error(connection: sqlite3.Connection) -> Iterator[None]:
    """Leave no transaction open when one of its statements fails."""
    try:
        yield
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK").close()
        raise
