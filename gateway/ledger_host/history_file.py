"""The wallet's history on disk: one JSON line a block that changed it, with the balance after it.

A line is whole or it is not there: a torn end is cut off and written anew from the chain, which knows everything.
Two files of at most `FILE_BYTES_MAX` are kept; the chain keeps the rest.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from gateway.errors import SettingsError
from gateway.ledger_host.wallet_effects import HistoryEntry
from gateway.settings import Home
from gateway.smart_agent.private_files import make_private_folder

FILE_BYTES_MAX = 8 * 1024 * 1024  # some forty thousand payments


class HistoryLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one block did; without entries it only says how far the history has come."""

    height: int
    time_ms: int
    balance: int
    entries: tuple[HistoryEntry, ...] = ()


class HistoryFile:
    """`wallet/history.jsonl` of a home folder; one writer, the ledger process."""

    def __init__(self, home: Home) -> None:
        self._folder = home.path / "wallet"
        self.path = self._folder / "history.jsonl"
        self.older = self._folder / "history.1.jsonl"

    def lines(self) -> Iterator[HistoryLine]:
        """Yield the lines that are kept, oldest first; a torn last line is left out."""
        for path in (self.older, self.path):
            if path.exists():
                yield from (line for line, _ in _parse(_read(path)))

    def recover(self) -> HistoryLine | None:
        """Cut off a torn end and return the newest line; None where there is none."""
        newest = None
        for path in (self.older, self.path):
            data = _read(path) if path.exists() else b""
            good = 0
            for line, end in _parse(data):
                newest, good = line, end
            if path == self.path and good < len(data):
                os.truncate(path, good)
        return newest

    def append(self, line: HistoryLine) -> None:
        """Write a line, durably; raises `SettingsError`."""
        data = msgspec.json.encode(line) + b"\n"
        try:
            make_private_folder(self._folder)
            if self.path.exists() and self.path.stat().st_size + len(data) > FILE_BYTES_MAX:
                self.path.replace(self.older)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            with os.fdopen(os.open(self.path, flags, 0o600), "ab") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise SettingsError(f"{self.path}: cannot be written: {error.strerror}") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None


def _parse(data: bytes) -> Iterator[tuple[HistoryLine, int]]:
    """Yield each good line with the place where it ends, up to the first that is none."""
    start = 0
    while (end := data.find(b"\n", start)) != -1:
        try:
            line = msgspec.json.decode(data[start:end], type=HistoryLine)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        start = end + 1
        yield line, start
