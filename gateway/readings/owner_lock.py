"""One gateway owns a database: a lock that the kernel drops with the process (flock(2))."""

import fcntl
import os
from pathlib import Path

from gateway.errors import GatewayError, StoreError


class OwnerLock:
    """The right to write a database file, held through a lock file beside it."""

    def __init__(
        self,
        path: Path,
        what: str = "readings store",
        error: type[GatewayError] = StoreError,
    ) -> None:
        """Take the lock of `what`, or raise `error` if another process or store has it."""
        lock_path = path.with_name(path.name + ".lock")
        try:
            descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as failure:
            raise error(
                f"{what} {path}: {failure.strerror} ({lock_path}): check the folder"
            ) from None
        self._file = os.fdopen(descriptor)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise error(
                f"{what} {path}: another gateway is using it: stop that one first"
            ) from None

    def close(self) -> None:
        """Let another gateway open the file."""
        self._file.close()
