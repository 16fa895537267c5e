"""Checking a whole audit log: every hash and every link."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.smart_agent.audit.entry import EMPTY, Broken, Entry, EntryKind, Head
from gateway.smart_agent.audit.segment import Segment, check_folder, list_segments, load_segment

Visitor = Callable[[Entry, Head], None]


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What a log holds: entries from `first` to `head`. `problem` names the first broken one, or is empty.

    `torn` counts places where a power cut took entries that were not synced yet.
    """

    first: int
    head: Head
    torn: int
    problem: str


def verify_log(folder: Path, visit: Visitor = lambda _entry, _head: None) -> AuditReport:
    """Check the log in `folder`; its agent may be running.

    `visit` sees every good entry in order, and the head after it. Raises `AgentError` when a file cannot be read at all.
    """
    check_folder(folder)
    walk = _Walk(visit)
    for path in list_segments(folder):
        segment = load_segment(path)
        if segment is None:
            walk.problem = f"segment {path.name} has a damaged header"
        else:
            walk.pass_segment(segment)
        if walk.problem:
            break
    return AuditReport(walk.first, walk.head, walk.torn, walk.problem)


class _Walk:
    def __init__(self, visit: Visitor) -> None:
        self._visit = visit
        self._is_first = True
        self.first = 1
        self.head = EMPTY
        self.torn = 0
        self.problem = ""

    def pass_segment(self, segment: Segment) -> None:
        if self._is_first:
            self.first, self.head = segment.before.sequence + 1, segment.before
            self._is_first = False
        elif segment.before != self.head:
            self.problem = (
                f"entry {self.head.sequence + 1} is missing: segment {segment.path.name} does not"
                " follow the one before it"
            )
            return
        for read in segment.entries():
            if isinstance(read, Broken):
                self.problem = f"entry {read.sequence} {read.reason} ({segment.path.name})"
                return
            entry, self.head, _ = read
            self.torn += entry.kind is EntryKind.TORN
            self._visit(entry, self.head)
