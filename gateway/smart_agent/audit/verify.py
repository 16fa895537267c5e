"""Checking a whole audit log: every hash, every link, and heads that are known from elsewhere."""

from collections.abc import Callable, Mapping
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


def verify_log(
    folder: Path,
    known: Mapping[int, bytes] | None = None,
    visit: Visitor = lambda _entry, _head: None,
) -> AuditReport:
    """Check the log in `folder`, while its agent may be running, against `known` hashes of entries.

    `visit` sees every good entry in order. Raises `AgentError` when a file cannot be read at all.
    """
    check_folder(folder)
    walk = _Walk(dict(known or {}), visit)
    for path in list_segments(folder):
        segment = load_segment(path)
        if segment is None:
            walk.problem = f"segment {path.name} has a damaged header"
        else:
            walk.pass_segment(segment)
        if walk.problem:
            break
    walk.check_reach()
    return AuditReport(walk.first, walk.head, walk.torn, walk.problem)


class _Walk:
    def __init__(self, known: Mapping[int, bytes], visit: Visitor) -> None:
        self._known = known
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
            if self._known.get(entry.sequence, self.head.hash) != self.head.hash:
                self.problem = f"entry {entry.sequence} is not the one that was anchored"
                return
            self._visit(entry, self.head)

    def check_reach(self) -> None:
        """A log that ends before an anchored head lost entries."""
        newest = max(self._known, default=0)
        if not self.problem and newest > self.head.sequence:
            self.problem = (
                f"entry {self.head.sequence + 1} is missing: the log ends before entry {newest},"
                " which was anchored"
            )
