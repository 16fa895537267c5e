"""The open audit log: appends, syncs, and starts a new segment in time.

Rule 1: what must be on disk before its signature leaves (a vote) is synced in `append`; the rest is
written at once and synced within `SYNC_INTERVAL_NS`, or before its head is told to anybody.
Rule 2: opening cuts off what a power cut left half-written, keeps it beside the log and says so in it.
Rule 3: after a failed write nothing is appended, so nothing is signed, until the log is opened again.
"""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

from gateway.clock import Clock
from gateway.errors import AgentError
from gateway.smart_agent.audit.entry import (
    EMPTY,
    Broken,
    Entry,
    EntryKind,
    Head,
    Result,
    VotePlace,
    append_entry,
)
from gateway.smart_agent.audit.segment import (
    HEADER_BYTES,
    SEGMENT_BYTES_MAX,
    SEGMENTS_MAX,
    encode_header,
    list_segments,
    load_segment,
    segment_path,
)
from gateway.smart_agent.private_files import make_private_folder, open_private, write_private
from ledger.crypto.hashing import sha256

SYNC_INTERVAL_NS = 1_000_000_000  # how much of the log, but for votes, a power cut may take
TORN_FILES_MAX = 4  # each is what one power cut left half-written

_log = logging.getLogger(__name__)


class Event(NamedTuple):
    """What an entry is made from: the kind, the key's purpose, the bytes signed and how it ended."""

    kind: EntryKind
    purpose: str
    message: bytes
    result: Result = Result.DONE
    vote: VotePlace | None = None


class AuditLog:
    """Not for two threads or two processes: the agent's folder lock sees to that."""

    def __init__(
        self, folder: Path, clock: Clock, segment_bytes_max: int = SEGMENT_BYTES_MAX
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._segment_bytes_max = segment_bytes_max
        self._head = EMPTY
        self._descriptor = -1
        self._size = 0
        self._dirty_since_ns: int | None = None
        self._is_failed = False
        self._newest_votes: list[Entry] = []
        make_private_folder(folder)
        self._resume()

    @property
    def head(self) -> Head:
        """The newest entry, on disk or not yet."""
        return self._head

    @property
    def newest_votes(self) -> Sequence[Entry]:
        """The votes given in the newest slot that the newest segment held when it was opened."""
        return self._newest_votes

    def append(
        self, kind: EntryKind, purpose: str, message: bytes, *, is_durable: bool = False
    ) -> None:
        """Append one entry; raise `AgentError` when it cannot be written."""
        self.append_many([Event(kind, purpose, message)])
        if is_durable:
            self.sync()

    def append_vote(self, vote: VotePlace, purpose: str, message: bytes, result: Result) -> None:
        """Append a vote; one that was given is durable before this returns."""
        self.append_many([Event(EntryKind.VOTE, purpose, message, result, vote)])
        if result is Result.DONE:
            self.sync()

    def append_many(self, events: Sequence[Event]) -> None:
        """Append an entry for each event in one write; raise `AgentError` when that fails."""
        self._check_not_failed()
        time_ms = self._clock.now_ms()
        head, chunks = self._head, []
        for event in events:
            digest = sha256(event.message)
            entry = Entry(
                head.sequence + 1,
                time_ms,
                event.kind,
                event.purpose,
                digest,
                event.result,
                head.hash,
                event.vote,
            )
            head, chunk = append_entry(head, entry)
            chunks.append(chunk)
        self._write(b"".join(chunks))
        self._head = head
        self.sync_if_due()

    def sync(self) -> None:
        """Make every entry durable; raise `AgentError` when that fails, and ever after."""
        self._check_not_failed()
        if self._dirty_since_ns is None:
            return
        self._is_failed = True  # until the disk has said otherwise
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:
            raise AgentError(
                f"cannot sync the audit log {self._folder}: {error.strerror}"
            ) from None
        self._is_failed = False
        self._dirty_since_ns = None

    def sync_if_due(self) -> None:
        """Make the entries durable when the oldest of them has waited long enough."""
        since = None if self._is_failed else self._dirty_since_ns
        if since is not None and self._clock.monotonic_ns() - since >= SYNC_INTERVAL_NS:
            self.sync()

    def close(self) -> None:
        """Sync and release the file."""
        try:
            if not self._is_failed:
                self.sync()
        finally:
            self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _check_not_failed(self) -> None:
        """What a failed write or sync left is unknown; a sync that succeeds later proves nothing."""
        if self._is_failed:
            raise AgentError(f"the audit log {self._folder} failed before: restart the SmartAgent")

    def _write(self, data: bytes) -> None:
        if self._size + len(data) > self._segment_bytes_max and self._size > HEADER_BYTES:
            self.sync()
            self._is_failed = True
            self._release()
            self._start_segment()
        self._is_failed = True
        try:
            written = os.write(self._descriptor, data)
        except OSError as error:
            raise AgentError(
                f"cannot write the audit log {self._folder}: {error.strerror}"
            ) from None
        if written != len(data):
            raise AgentError(f"cannot write the audit log {self._folder}: short write")
        self._is_failed = False
        self._size += written
        if self._dirty_since_ns is None:
            self._dirty_since_ns = self._clock.monotonic_ns()

    def _release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _start_segment(self) -> None:
        path = segment_path(self._folder, self._head)
        write_private(path, encode_header(self._head))
        self._descriptor = open_private(path, os.O_WRONLY | os.O_APPEND)
        self._size = HEADER_BYTES
        _remove(list_segments(self._folder)[:-SEGMENTS_MAX])

    def _resume(self) -> None:
        """Go on after the newest segment's last good entry."""
        segments = list_segments(self._folder)
        newest = load_segment(segments[-1]) if segments else None
        if segments and newest is None:
            raise AgentError(
                f"{segments[-1]} is damaged: move it away; `smartshare agent audit verify` then"
                " tells what is missing"
            )
        if newest is None:
            self._start_segment()
            return
        self._head, end, torn = newest.before, HEADER_BYTES, b""
        for read in newest.entries():
            if isinstance(read, Broken):
                torn = newest.data[read.offset :]
                _log.warning("audit log: entry %d %s", read.sequence, read.reason)
            else:
                entry, self._head, end = read
                self._note_vote(entry)
        self._descriptor = open_private(newest.path, os.O_WRONLY | os.O_APPEND)
        self._size = end
        if torn:
            self._cut_off(torn, end)

    def _cut_off(self, torn: bytes, end: int) -> None:
        write_private(self._folder / f"torn-{self._head.sequence + 1:020d}", torn)
        _remove(sorted(self._folder.glob("torn-*"))[:-TORN_FILES_MAX])
        os.ftruncate(self._descriptor, end)
        self.append(EntryKind.TORN, "", torn, is_durable=True)

    def _note_vote(self, entry: Entry) -> None:
        if entry.vote is None or entry.result is not Result.DONE:
            return
        newest = self._newest_votes[0].vote if self._newest_votes else None
        place = (entry.vote.epoch, entry.vote.slot)
        if newest is None or place > (newest.epoch, newest.slot):
            self._newest_votes = [entry]
        elif place == (newest.epoch, newest.slot):
            self._newest_votes.append(entry)


def _remove(files: Sequence[Path]) -> None:
    for file in files:
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise AgentError(f"cannot remove the old {file}: {error.strerror}") from None
