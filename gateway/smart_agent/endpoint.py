"""The agent's Unix socket in the file system: any path length, mode 0600, never a stale one.

A socket address holds 107 bytes of path. A descriptor of the folder gives every path a short name:
`/proc/self/fd/N/agent.sock`.
"""

import os
import socket
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.errors import AgentError

_BACKLOG = 64
_TIMEVAL = struct.Struct("@ll")  # struct timeval


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """Listen at `path` while the block runs; raise `AgentError` when another process does."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise AgentError(f"cannot create {path.parent}: {error.strerror}") from None
    with _folder(path) as folder, socket.socket(socket.AF_UNIX) as listener:
        _refuse_a_live_one(path, folder)
        try:
            inode = _bind(listener, folder, path.name)
        except OSError as error:
            raise AgentError(f"cannot listen at {path}: {error.strerror}") from None
        try:
            yield listener
        finally:
            _remove(folder, path.name, inode)


def connect(path: Path, timeout_s: float) -> socket.socket:
    """Return a connected socket with this timeout; raise OSError as the kernel does."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        # Python's own timeout would make the socket non-blocking, and such a connect does not wait
        # for a place in a full backlog.
        wait = _TIMEVAL.pack(int(timeout_s), int(timeout_s % 1 * 1_000_000))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, wait)
        with _folder(path) as folder:
            connection.connect(_address(folder, path.name))
        connection.settimeout(timeout_s)
    except BlockingIOError:
        connection.close()
        raise TimeoutError from None
    except OSError:
        connection.close()
        raise
    return connection


@contextmanager
def _folder(path: Path) -> Iterator[int]:
    descriptor = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _address(folder: int, name: str) -> str:
    return f"/proc/self/fd/{folder}/{name}"


def _refuse_a_live_one(path: Path, folder: int) -> None:
    try:
        mode = os.stat(path.name, dir_fd=folder, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise AgentError(f"{path} is not a socket: remove it")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(_address(folder, path.name))
        except ConnectionRefusedError:
            return  # left behind by a process that was killed: the rename replaces it
    raise AgentError(f"another process listens at {path}: stop it first")


def _bind(listener: socket.socket, folder: int, name: str) -> int:
    """Make the socket under another name, then rename: it never exists with a looser mode."""
    temporary = f".{name}.new"
    if os.access(temporary, os.F_OK, dir_fd=folder):
        os.unlink(temporary, dir_fd=folder)
    listener.bind(_address(folder, temporary))
    os.chmod(temporary, 0o600, dir_fd=folder)
    listener.listen(_BACKLOG)
    listener.setblocking(False)
    os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    return os.stat(name, dir_fd=folder).st_ino


def _remove(folder: int, name: str, inode: int) -> None:
    try:
        if os.stat(name, dir_fd=folder, follow_symlinks=False).st_ino == inode:
            os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return  # somebody cleaned the folder already
