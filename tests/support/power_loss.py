"""What a power cut would leave of a process's files, from the record that strace made of it.

A file's bytes are durable once a sync that began after they were written has returned. Of what was
written since, each write is at the cut, by chance, on disk, lost, or torn into sectors, in any
combination and order; a truncation happened or did not.
"""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SECTOR_BYTES = 512
TRACED_CALLS = "pwrite64,write,ftruncate,fdatasync,fsync"
STRACE = ("strace", "-f", "-y", "-xx", "-s", "1000000", "-e", f"trace={TRACED_CALLS}", "-o")
STDOUT = 1

_CALL = re.compile(
    r"(?P<name>\w+)\((?P<fd>\d+)<(?P<file>[^>]*)>"
    r'(?:, "(?P<data>[^"]*)", \d+)?(?:, (?P<number>\d+))?\) += (?P<result>\d+)'
)
_UNFINISHED = " <unfinished ...>"
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>")


@dataclass(frozen=True)
class Call:
    """A system call that succeeded: of `file`, or to standard output."""

    name: str
    fd: int
    file: Path
    data: bytes
    number: int  # offset or size


def read_trace(trace: Path) -> Iterator[Call]:
    """Give the calls of all threads in the order in which they returned."""
    begun: dict[str, str] = {}
    for line in trace.read_text().splitlines():
        thread, _, text = line.partition(" ")
        text = text.lstrip()
        if text.endswith(_UNFINISHED):
            begun[thread] = text.removesuffix(_UNFINISHED)
            continue
        if _RESUMED.match(text):
            text = begun.pop(thread) + _RESUMED.sub("", text, count=1)
        found = _CALL.fullmatch(text)
        if found is None:
            continue  # a call that failed, or the end of the process
        data = _decode(found["data"] or "")
        if found["name"].startswith(("write", "pwrite")):
            data = data[: int(found["result"])]
        file = Path(_decode(found["file"]).decode())
        yield Call(found["name"], int(found["fd"]), file, data, int(found["number"] or 0))


def _decode(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


class Disk:
    """The files of a traced process, as durable and as pending as they are after each call."""

    def __init__(self) -> None:
        self._durable: dict[Path, bytearray] = {}
        self._pending: dict[Path, list[Call]] = {}

    def perform(self, call: Call) -> None:
        """Follow a call."""
        pending = self._pending.setdefault(call.file, [])
        content = self._durable.setdefault(call.file, bytearray())
        if call.name in ("fsync", "fdatasync"):
            for one in pending:
                _apply(content, one)
            pending.clear()
        else:
            pending.append(call)

    def cut_power(self, folder: Path, chance: random.Random) -> None:
        """Write what is left of each file into a folder."""
        for file, durable in self._durable.items():
            content = bytearray(durable)
            for call in self._pending[file]:
                fate = chance.random()
                if fate < 0.45:
                    _apply(content, call)
                elif fate < 0.6 and call.name != "ftruncate":
                    _apply_torn(content, call, chance)
            folder.joinpath(file.name).write_bytes(content)


def _apply(content: bytearray, call: Call) -> None:
    if call.name == "ftruncate":
        content[:] = content[: call.number].ljust(call.number, b"\0")
        return
    end = call.number + len(call.data)
    if len(content) < call.number:
        content.extend(bytes(call.number - len(content)))
    content[call.number : end] = call.data


def _apply_torn(content: bytearray, call: Call, chance: random.Random) -> None:
    for start in range(0, len(call.data), SECTOR_BYTES):
        if chance.random() < 0.5:
            sector = call.data[start : start + SECTOR_BYTES]
            _apply(content, Call(call.name, call.fd, call.file, sector, call.number + start))
