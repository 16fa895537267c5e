"""The right to write a chain database: one process has it at a time, whatever it does to the file."""

import fcntl
from pathlib import Path
from typing import IO

from ledger.errors import StorageError


def lock_for_writing(path: Path) -> IO[bytes]:
    """Take the writer's lock, in a file of its own: SQLite must stay open to readers.

    Closing it gives it back. Raises `StorageError` where another process has it.
    """
    lock_path = path.with_name(path.name + ".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = lock_path.open("ab")
    except OSError as error:
        raise StorageError(f"{lock_path}: cannot be created ({error.strerror})") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise StorageError(
            f"{path}: another process writes this chain: stop it before starting a second ledger"
        ) from None
    return lock
