"""The sign guard: the last signed state on disk, durable before a signature leaves.

Rule 1: two slots are written in turn, so the record before a torn write is never touched by it.
Rule 2: a missing, unreadable or doubly damaged record refuses everything; nothing starts at zero.
Rule 3: after a failed write the disk's content is unknown: the guard stays shut until reopened.
Rule 4: opening writes the record again, since what was read may have stood in the page cache only.
"""

import logging
import os
from pathlib import Path
from typing import Self

from gateway.errors import AgentError
from gateway.smart_agent.guard_record import (
    COUNTER_MAX,
    SLOT_BYTES,
    StoredRecord,
    decode_slot,
    encode_slot,
)
from gateway.smart_agent.judge import GuardRefusal, SignRecord, VoteRequest, judge
from gateway.smart_agent.private_files import open_private, write_private

_log = logging.getLogger(__name__)

_HOW_TO_CONTINUE = (
    "nothing is signed without it: restore the file from this machine, or, if it is lost,"
    " set a record ahead of every vote of this key with"
    " `smartshare agent guard set EPOCH:SLOT --home DIR`"
)


def create_guard_file(path: Path, record: SignRecord) -> None:
    """Write a new guard file with both slots, durably, in place of any other."""
    write_private(path, encode_slot(StoredRecord(0, record)) + encode_slot(StoredRecord(1, record)))


def read_guard_file(path: Path) -> StoredRecord:
    """Return the newest record of a guard file; raise `AgentError` with the way to continue."""
    descriptor = _open(path, os.O_RDONLY)
    try:
        return _read_newest(path, descriptor)
    finally:
        os.close(descriptor)


class SignGuard:
    """The open guard. Not for two threads or two processes: the agent's folder lock sees to that."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = _open(path, os.O_RDWR)
        self._is_failed = False
        try:
            self._stored = _read_newest(path, self._descriptor)
            self._make_durable(self._stored.record)
        except AgentError:
            self.close()
            raise

    @property
    def record(self) -> SignRecord:
        """The newest durable record."""
        return self._stored.record

    def admit(self, vote: VoteRequest) -> GuardRefusal | None:
        """Make `vote` part of the durable record and return None: it may be signed now; or why not.

        Raises `AgentError` when the record cannot be made durable, and from then on.
        """
        if self._is_failed:
            raise AgentError(f"the sign guard {self._path} failed before: restart the SmartAgent")
        verdict = judge(self._stored.record, vote)
        if isinstance(verdict, GuardRefusal):
            return verdict
        if verdict != self._stored.record:
            self._make_durable(verdict)
        return None

    def close(self) -> None:
        """Release the file."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _make_durable(self, record: SignRecord) -> None:
        assert self._stored.counter < COUNTER_MAX
        stored = StoredRecord(self._stored.counter + 1, record)
        self._is_failed = True  # until the disk has said otherwise
        try:
            offset = stored.counter % 2 * SLOT_BYTES
            written = os.pwrite(self._descriptor, encode_slot(stored), offset)
            os.fdatasync(self._descriptor)
        except OSError as error:
            raise AgentError(
                f"cannot write the sign guard {self._path}: {error.strerror}"
            ) from None
        if written != SLOT_BYTES:
            raise AgentError(f"cannot write the sign guard {self._path}: short write")
        self._stored = stored
        self._is_failed = False


def _open(path: Path, flags: int) -> int:
    try:
        return open_private(path, flags)
    except FileNotFoundError:
        raise AgentError(f"the sign guard {path} is missing; {_HOW_TO_CONTINUE}") from None
    except OSError as error:
        raise AgentError(f"cannot open the sign guard {path}: {error.strerror}") from None


def _read_newest(path: Path, descriptor: int) -> StoredRecord:
    try:
        data = os.pread(descriptor, 2 * SLOT_BYTES + 1, 0)
    except OSError as error:
        message = f"cannot read the sign guard {path}: {error.strerror}; {_HOW_TO_CONTINUE}"
        raise AgentError(message) from None
    newest = _newest_of(data)
    if newest is None:
        raise AgentError(f"the sign guard {path} is damaged; {_HOW_TO_CONTINUE}")
    return newest


def _newest_of(data: bytes) -> StoredRecord | None:
    """Return the newer good slot; None unless the file is one that only our writes can leave."""
    if len(data) != 2 * SLOT_BYTES:
        return None
    good = []
    for place, raw in enumerate((data[:SLOT_BYTES], data[SLOT_BYTES:])):
        stored = decode_slot(raw)
        if stored is not None and stored.counter % 2 == place:
            good.append(stored)
    if len(good) == 2 and abs(good[0].counter - good[1].counter) != 1:
        return None
    if len(good) == 1:
        _log.warning("sign guard: one slot is damaged, as after a power cut; using the other")
    return max(good, key=lambda stored: stored.counter, default=None)
