"""The journal: joins changes into few commits, and calls back when a promise is on disk.

Rule 1: one batch is written at a time, by one thread, in the order of the changes.
Rule 2: when is decided by `CommitPace`; a promise that came to nothing before (the message arrived,
the packet id was released) is kept without a write.
Rule 3: on a full disk nothing is acknowledged and nothing is lost: the batch is tried again until
there is room. After any other failure nobody knows what is on disk, so the journal ends, and with
it the process; a fresh start reads what is there.
"""

import asyncio
import logging
import sqlite3
from collections import deque
from concurrent.futures import Future as ThreadFuture, ThreadPoolExecutor, wait
from pathlib import Path
from typing import NoReturn

from peewee import SqliteDatabase

from gateway.broker.changes import Change, DeliveryDone, PacketIdReleased, StoredState
from gateway.broker.durable.batch import Batch
from gateway.broker.durable.database import (
    DamagedDatabaseError,
    describe,
    open_database,
    primary_code,
    set_aside,
)
from gateway.broker.durable.index import MessageRows
from gateway.broker.durable.loading import Loaded, load
from gateway.broker.durable.pace import CommitPace, Waits
from gateway.broker.durable.pending import PendingChanges
from gateway.broker.durable.schema import raw_connection
from gateway.broker.ports import CommitDone
from gateway.errors import BrokerError
from gateway.readings.owner_lock import OwnerLock

_log = logging.getLogger(__name__)

BATCH_BYTES = 64 * 1024  # a commit of this size is worth its pages
FULL_DISK_RETRY_S = 1.0
_TIMER_SLACK_S = 0.001  # timers of the event loop come this much early


_Promise = tuple[int, CommitDone]  # the newest change that it speaks of, and whom to tell


class SqliteJournal:
    """Sessions and retained messages in one file. For the event loop's thread."""

    is_durable = True

    def __init__(self, path: Path) -> None:
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._failed = asyncio.Event()
        self._failure = ""
        self._set_aside = ""
        self._disk_problem = ""
        self._lock: OwnerLock | None = None
        self._database: SqliteDatabase | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sessions")
        self._pending = PendingChanges({}, MessageRows())
        self._pace = CommitPace(self._loop.time())
        self._waiting: deque[_Promise] = deque()
        self._batch: Batch | None = None  # being written, or tried again
        self._future: ThreadFuture[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_settling = False
        self._is_large = False  # as the timer was set for
        self.commits = 0

    @property
    def problem(self) -> str:
        """One line for people while something is wrong, else empty."""
        return self._failure or self._disk_problem or self._set_aside

    def load(self) -> StoredState:
        """Open the file and return what is in it; a damaged one is set aside. Raises `BrokerError`."""
        assert self._database is None, "loaded already"
        self._lock = _take_lock(self._path)
        try:
            self._database, loaded = self._open()
        except BaseException:
            self._lock.close()
            raise
        self._pending = PendingChanges(loaded.sessions, loaded.messages)
        return loaded.state

    def record(self, change: Change) -> None:
        """Take a change; it is on disk after the next `commit` that ends well."""
        pending = self._pending
        was_clean = pending.first is None
        pending.add(change)
        if self._waiting and isinstance(change, DeliveryDone | PacketIdReleased):
            self._settle_soon()  # what was promised may have arrived meanwhile
        is_large = pending.bytes >= BATCH_BYTES and not self._is_large and bool(self._waiting)
        if self._timer is None or was_clean or is_large:
            self._plan()

    def commit(self, done: CommitDone) -> None:
        """Call `done` once everything recorded so far is on disk: at once if it is already."""
        if self._failure:
            done(self._failure)
        elif not self._waiting and self._is_kept(self._pending.last):
            done(None)
        else:
            self._waiting.append((self._pending.last, done))
            if len(self._waiting) == 1:
                self._plan()

    async def watch(self) -> NoReturn:
        """Raise `BrokerError` when the journal can write no more."""
        await self._failed.wait()
        raise BrokerError(self._failure)

    def close(self) -> None:
        """Write what waits and let the file go."""
        if self._database is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        if self._future is not None:
            wait((self._future,))
            self._land(self._future)
        if not self._failure:
            self._write_rest()
        self._thread.shutdown()
        self._database.close()
        self._database = None
        if self._lock is not None:
            self._lock.close()
        self._fail(self._failure or "the broker stops")

    def _open(self) -> tuple[SqliteDatabase, Loaded]:
        try:
            return _open_and_load(self._path)
        except DamagedDatabaseError as error:
            self._set_aside = set_aside(self._path, str(error))
            _log.error("%s", self._set_aside)
        try:
            return _open_and_load(self._path)
        except DamagedDatabaseError as error:
            raise BrokerError(
                f"MQTT sessions {self._path}: a new file is damaged: {error}"
            ) from None

    def _is_kept(self, change: int) -> bool:
        """Tell whether all changes up to this one are on disk, or came to nothing."""
        oldest = self._batch.first if self._batch is not None else self._pending.first
        return oldest is None or oldest > change

    def _plan(self) -> None:
        """Set the timer for the next batch, unless one is being written."""
        if self._batch is not None or self._failure or self._database is None:
            return
        at = self._next_at()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(at, self._flush) if at is not None else None

    def _next_at(self) -> float | None:
        pending = self._pending
        self._is_large = pending.bytes >= BATCH_BYTES
        waits = Waits(
            is_awaited=bool(self._waiting),
            is_large=self._is_large,
            has_changes=pending.first is not None,
            has_unpromised=pending.has_unpromised,
        )
        return self._pace.next_at(self._loop.time(), waits)

    def _flush(self) -> None:
        self._timer = None
        self._settle()  # what was awaited may have come to nothing
        at, now_s = self._next_at(), self._loop.time()
        if at is None or at > now_s + _TIMER_SLACK_S:
            self._plan()
            return
        with_unpromised = self._pace.is_retained_due(now_s)
        self._batch = self._pending.take(with_unpromised=with_unpromised)
        self._pace.taken(now_s)
        self._submit()

    def _submit(self) -> None:
        self._timer = None
        if self._batch is None or self._database is None:
            return
        self._future = self._thread.submit(_write, raw_connection(self._database), self._batch)
        self._future.add_done_callback(
            lambda future: self._loop.call_soon_threadsafe(self._land, future)
        )

    def _land(self, future: "ThreadFuture[None]") -> None:
        """Learn how the writing went; `close` may have done so before."""
        if future is not self._future:
            return
        self._future = None
        error = future.exception()
        if error is None:
            self._batch = None
            self.commits += 1
            if self._disk_problem:
                _log.warning("MQTT sessions are written again: there is room on the disk")
                self._disk_problem = ""
            self._plan()
            self._settle()
        elif primary_code(error) == sqlite3.SQLITE_FULL:
            if not self._disk_problem:
                self._disk_problem = describe(self._path, error)
                _log.error("%s; nothing is acknowledged until then", self._disk_problem)
            self._timer = self._loop.call_later(FULL_DISK_RETRY_S, self._submit)
        else:
            self._fail(describe(self._path, error))
            _log.error("%s", self._failure)
            self._failed.set()

    def _settle_soon(self) -> None:
        if not self._is_settling:
            self._is_settling = True
            self._loop.call_soon(self._settle)

    def _settle(self) -> None:
        """Tell everybody whose promise is kept."""
        self._is_settling = False
        waiting = self._waiting
        try:
            while waiting and self._is_kept(waiting[0][0]):
                _, done = waiting.popleft()
                done(None)
        except Exception:
            self._settle_soon()  # one caller's bug must not leave the others without an answer
            raise

    def _fail(self, reason: str) -> None:
        """Acknowledge nothing from now on."""
        self._failure = reason
        waiting, self._waiting = self._waiting, deque()
        for _, done in waiting:
            done(reason)

    def _write_rest(self) -> None:
        """Write what is left, at the end."""
        assert self._database is not None
        connection = raw_connection(self._database)
        rest = [self._batch] if self._batch is not None else []
        try:
            for batch in [*rest, self._pending.take(with_unpromised=True)]:
                _write(connection, batch)
        except sqlite3.Error as error:
            _log.error("%s; what was not acknowledged is lost", describe(self._path, error))
        else:
            self._batch = None
            self._settle()


def _take_lock(path: Path) -> OwnerLock:
    try:
        return OwnerLock(path, "MQTT sessions", BrokerError)
    except OSError as error:
        raise BrokerError(f"MQTT sessions {path}: {error.strerror}: check the folder") from None


def _open_and_load(path: Path) -> tuple[SqliteDatabase, Loaded]:
    database = open_database(path)
    try:
        connection = raw_connection(database)
        loaded = load(connection)
        connection.executemany(
            "DELETE FROM message WHERE message = ?", [(row,) for row in loaded.orphans]
        )
    except BaseException:
        database.close()
        raise
    return database, loaded


def _write(connection: sqlite3.Connection, batch: Batch) -> None:
    try:
        connection.execute("BEGIN IMMEDIATE")
        batch.execute(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
