"""Files that only their owner may read, written so that a crash leaves the old or the new content."""

import os
import stat
from pathlib import Path

from gateway.errors import AgentError

_FILE_MODE = 0o600
_FOLDER_MODE = 0o700
_OTHERS = 0o077


def make_private_folder(folder: Path) -> None:
    """Create `folder` (0700) where it is missing; raise `AgentError` when others may enter it."""
    try:
        if not folder.exists():
            folder.mkdir(mode=_FOLDER_MODE, parents=True)
            give_to_owner_of(folder.parent, folder)
        mode = stat.S_IMODE(folder.stat().st_mode)
    except OSError as error:
        raise AgentError(f"cannot create {folder}: {error.strerror}") from None
    if mode & _OTHERS:
        raise AgentError(f"{folder} is open to others (mode {mode:04o}): run chmod 700 {folder}")


def write_private(path: Path, data: bytes) -> None:
    """Put `data` in place of `path` (0600), durably: file, rename and folder are all synced."""
    temporary = path.with_name(path.name + ".new")
    try:
        temporary.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(temporary, flags, _FILE_MODE), "wb") as file:
            give_to_owner_of(path.parent, file.fileno())
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise AgentError(f"cannot write {path}: {error.strerror}") from None


def remove_private(path: Path) -> None:
    """Remove a file, durably; raise `AgentError` where that fails."""
    try:
        path.unlink()
        _sync_folder(path.parent)
    except OSError as error:
        raise AgentError(f"cannot remove {path}: {error.strerror}") from None


def open_private(path: Path, flags: int) -> int:
    """Return a descriptor of a regular file that others cannot read; raise `AgentError` or OSError."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _check_private(path, os.fstat(descriptor).st_mode)
    except AgentError:
        os.close(descriptor)
        raise
    return descriptor


def read_private(path: Path, size_max: int) -> bytes:
    """Return the content of a file that others cannot read; raise `AgentError` naming the mend."""
    try:
        with os.fdopen(open_private(path, os.O_RDONLY), "rb") as file:
            data = file.read(size_max + 1)
    except FileNotFoundError:
        raise AgentError(f"{path} is missing: run `smartshare init`, or put it back") from None
    except OSError as error:
        raise AgentError(f"cannot read {path}: {error.strerror}") from None
    if len(data) > size_max:
        raise AgentError(f"{path} is larger than {size_max} bytes: it is not what it should be")
    return data


def give_to_owner_of(folder: Path, made: int | Path) -> None:
    """What root makes in a service's folder, the service must be able to use."""
    if os.geteuid() == 0:
        place = folder.stat()
        os.chown(made, place.st_uid, place.st_gid)


def _check_private(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise AgentError(f"{path} is not a regular file: remove it")
    if mode & _OTHERS:
        permissions = stat.S_IMODE(mode)
        raise AgentError(f"{path} is open to others (mode {permissions:04o}): run chmod 600 {path}")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
