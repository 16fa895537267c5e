"""SQLite's errors as ours: one line with the file and what to do. No error is ever retried.

After a failed write or fsync nobody knows what is on disk, so the process must end and start again
from what a fresh open can read.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from peewee import PeeweeException

from ledger.errors import CorruptStorageError, StorageError

DRIVER_ERRORS = (sqlite3.Error, PeeweeException)

_CORRUPT_CODES = {"SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_CORRUPT_INDEX", "SQLITE_CORRUPT_VTAB"}
_CORRUPT_TEXTS = ("malformed", "not a database")


def describe_corruption(path: Path, detail: str) -> str:
    """Return the one line for a chain database that contradicts itself."""
    return (
        f"{path}: the chain database is damaged ({detail}): move it away and restore a copy of it"
    )


@contextmanager
def storage_faults(path: Path, doing: str) -> Iterator[None]:
    """Turn any error of SQLite into `StorageError` or `CorruptStorageError`."""
    try:
        yield
    except DRIVER_ERRORS as error:
        raise to_storage_error(path, doing, error) from error


def to_storage_error(path: Path, doing: str, error: BaseException) -> StorageError:
    """Return what one of `DRIVER_ERRORS` is to the ledger."""
    first = _find_first(error)
    if _is_corruption(first):
        return CorruptStorageError(describe_corruption(path, str(first)))
    return StorageError(
        f"{path}: cannot {doing} the chain database ({first}): check the disk and its free space"
    )


def _find_first(error: BaseException) -> BaseException:
    """Return the error that began it: after a full disk the roll-back fails too, and hides it."""
    while isinstance(error.__context__, DRIVER_ERRORS):
        error = error.__context__
    return error


def _is_corruption(error: BaseException) -> bool:
    name = getattr(error, "sqlite_errorname", "")
    return name in _CORRUPT_CODES or any(text in str(error) for text in _CORRUPT_TEXTS)
