"""A disk that loses power: it watches one file's system calls and keeps what a crash would leave.

Real files lie on a RAM disk and are what the process sees (the page cache). Beside them stands what is
durable: only a sync that returned makes a write so. At a crash each write since then is, by the seed, on
disk, lost, or torn at any byte, in any combination; a rename that was not followed by a sync of its folder
happened or did not.
"""

import contextlib
import os
import random
from pathlib import Path


class PowerCut(BaseException):
    """Not an `Exception`: no handler of the product may see it."""


class CrashingDisk:
    """Watches `path`. `steps_left` counts system calls down to the next power cut; None: no cut."""

    def __init__(self, path: Path, chance: random.Random) -> None:
        self._path = path
        self._chance = chance
        self._durable: bytes | None = path.read_bytes() if path.exists() else None
        self._pending: list[tuple[int, bytes]] = []
        self._before_rename: bytes | None = None
        self._is_rename_pending = False
        self.steps_left: int | None = None
        self._calls = {
            name: getattr(os, name)
            for name in ("pwrite", "fdatasync", "fsync", "rename", "open", "close")
        }
        self._opened: dict[int, tuple[int, int]] = {}  # descriptors, and the files they are of

    def install(self, monkeypatch) -> None:
        """Stand between the product and the system."""
        monkeypatch.setattr(os, "pwrite", self._pwrite)
        monkeypatch.setattr(os, "fdatasync", self._fdatasync)
        monkeypatch.setattr(os, "fsync", self._fsync)
        monkeypatch.setattr(os, "rename", self._rename)
        monkeypatch.setattr(os, "open", self._open)
        monkeypatch.setattr(os, "close", self._close)

    def restart(self) -> None:
        """Put on the disk what a power cut at this moment leaves, and forget the page cache."""
        self._close_what_is_open()
        content = self._durable
        if self._is_rename_pending and self._chance.random() < 0.5:
            content = self._before_rename
        if content is not None:
            content = self._apply_some(content)
            self._path.write_bytes(content)
            self._path.chmod(0o600)
        self._durable = content
        self._pending.clear()
        self._is_rename_pending = False
        self.steps_left = None

    def replace(self, content: bytes) -> None:
        """Somebody put an older file back, durably."""
        self._path.write_bytes(content)
        self._durable = content
        self._pending.clear()
        self._is_rename_pending = False

    def _apply_some(self, content: bytes) -> bytes:
        image = bytearray(content)
        pending = self._pending[:]
        self._chance.shuffle(pending)
        for offset, data in pending:
            fate = self._chance.random()
            if fate < 0.3:
                continue
            cut = self._chance.randrange(len(data) + 1) if fate < 0.7 else len(data)
            if self._chance.random() < 0.5:
                image[offset : offset + cut] = data[:cut]
            else:
                image[offset + len(data) - cut : offset + len(data)] = data[len(data) - cut :]
        return bytes(image)

    def _step(self) -> None:
        if self.steps_left is None:
            return
        if self.steps_left == 0:
            raise PowerCut
        self.steps_left -= 1

    def _open(self, path, flags, *arguments, **options) -> int:
        descriptor: int = self._calls["open"](path, flags, *arguments, **options)
        self._opened[descriptor] = _file_of(descriptor)
        return descriptor

    def _close(self, descriptor: int) -> None:
        self._opened.pop(descriptor, None)
        self._calls["close"](descriptor)

    def _close_what_is_open(self) -> None:
        """Do what the end of the process would; a number that stands for another file is not ours."""
        for descriptor, file in self._opened.items():
            with contextlib.suppress(OSError):
                if _file_of(descriptor) == file:
                    self._calls["close"](descriptor)
        self._opened.clear()

    def _pwrite(self, descriptor: int, data: bytes, offset: int) -> int:
        self._step()
        written: int = self._calls["pwrite"](descriptor, data, offset)
        self._pending.append((offset, data))
        self._step()
        return written

    def _fdatasync(self, descriptor: int) -> None:
        self._step()
        self._durable = self._path.read_bytes()
        self._pending.clear()
        self._step()

    def _fsync(self, descriptor: int) -> None:
        """Of a temporary file, or of its folder: only the second makes a rename last."""
        self._step()
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):  # noqa: PTH112 - a descriptor's name
            self._is_rename_pending = False
        self._step()

    def _rename(self, source, target, **options) -> None:
        self._step()
        self._before_rename = self._durable
        self._calls["rename"](source, target, **options)
        if Path(target) == self._path:
            self._durable = self._path.read_bytes()
            self._is_rename_pending = True
            self._pending.clear()
        self._step()


def _file_of(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino
