"""What a power cut would leave of a process's files, from the record that strace made of it.

A file's bytes are durable once a sync that began after they were written has returned. Of what was
written since, each write is at the cut, by chance, on disk, lost, or torn into sectors, in any
combination and order; a truncation happened or did not. So is each change of names since their folder
was synced: it happened or did not; a new file's name is there at once.
"""

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

SECTOR_BYTES = 512
TRACED_CALLS = "pwrite64,write,ftruncate,fdatasync,fsync,?unlink,?unlinkat,?rename,?renameat"
STRACE = ("strace", "-f", "-y", "-xx", "-s", "1000000", "-e", f"trace={TRACED_CALLS}", "-o")
STDOUT = 1

_CALL = re.compile(
    r"(?P<name>\w+)\((?P<fd>\d+)<(?P<file>[^>]*)>"
    r'(?:, "(?P<data>[^"]*)", \d+)?(?:, (?P<number>\d+))?\) += (?P<result>\d+)'
)
_NAME_CALL = re.compile(
    r'(?P<name>unlink|rename)(?:at)?\((?:AT_FDCWD<[^>]*>, )?"(?P<file>[^"]*)"'
    r'(?:, (?:AT_FDCWD<[^>]*>, )?"(?P<target>[^"]*)")?(?:, 0)?\) += 0'
)
_UNFINISHED = " <unfinished ...>"
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>")


@dataclass(frozen=True)
class Call:
    """A system call that succeeded: of `file`, or to standard output; `target` is its new name."""

    name: str
    fd: int
    file: Path
    data: bytes
    number: int  # offset or size
    target: Path | None = None


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
        names = _NAME_CALL.fullmatch(text)
        if names is not None:
            file, target = (
                Path(_decode(names[part] or "").decode()) for part in ("file", "target")
            )
            yield Call(names["name"], -1, file, b"", 0, target)
            continue
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


@dataclass(eq=False)
class _File:
    durable: bytearray = field(default_factory=bytearray)
    pending: list[Call] = field(default_factory=list)


class Disk:
    """The files of a traced process, as durable and as pending as they are after each call."""

    def __init__(self, content: Mapping[Path, bytes] | None = None) -> None:
        before = {path: _File(bytearray(data)) for path, data in (content or {}).items()}
        self._names = before  # as the process sees them
        self._durable_names = dict(before)
        self._changes: list[Call] = []

    def perform(self, call: Call) -> None:
        """Follow a call."""
        if call.name in ("unlink", "rename"):
            _change_names(self._names, call)
            self._changes.append(call)
        elif call.file in {path.parent for path in self._names}:
            self._durable_names = dict(self._names)
            self._changes.clear()
        elif call.name in ("fsync", "fdatasync"):
            file = self._find(call.file)
            for one in file.pending:
                _apply(file.durable, one)
            file.pending.clear()
        else:
            self._find(call.file).pending.append(call)

    def cut_power(self, folder: Path, chance: random.Random) -> None:
        """Write what is left of each file into a folder."""
        names = dict(self._durable_names)
        for change in self._changes:
            if chance.random() < 0.5:
                _change_names(names, change)
        for path, file in names.items():
            content = bytearray(file.durable)
            for call in file.pending:
                fate = chance.random()
                if fate < 0.45:
                    _apply(content, call)
                elif fate < 0.6 and call.name != "ftruncate":
                    _apply_torn(content, call, chance)
            folder.joinpath(path.name).write_bytes(content)

    def _find(self, path: Path) -> _File:
        file = self._names.get(path)
        if file is None:
            file = self._names[path] = _File()
            self._durable_names.setdefault(path, file)
        return file


def _change_names(names: dict[Path, _File], call: Call) -> None:
    file = names.pop(call.file, None)
    if file is not None and call.name == "rename" and call.target is not None:
        names[call.target] = file


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
