"""Group commit: what waits is written in one transaction, and answered only after its COMMIT.

Rule 1: one group is written at a time, in the order of arrival: there is one writer.
Rule 2: a source is answered on the event loop, after the commit of its group, in the order in which
it handed over, refusals included.
Rule 3: what follows from a commit in memory is noted before anything of the next one is.
Rule 4: on a full disk nothing is answered and nothing is lost: the group is tried again until there is
room. Any other error ends the queue: everything that waits is refused.
Rule 5: a commit costs much the same for one reading as for hundreds, so it waits while each turn of
the event loop brings more, but only for some turns.

A group is written on the event loop itself or by a thread, as `WriterChoice` says.
"""

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future as ThreadFuture, ThreadPoolExecutor, wait
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from gateway.clock import Clock
from gateway.errors import Rejected, RejectReason, StoreError
from gateway.ports import TelemetrySource
from gateway.readings.commit_group import Answer, CommitGroup, Job, Result
from gateway.readings.faults import DiskFullError, rolled_back_on_error, store_faults
from gateway.readings.pages import LOG_BYTES_MAX, append_log, fold_log
from gateway.readings.patient_jobs import PatientJobs
from gateway.readings.recent import RecentReadings
from gateway.readings.runs import Run
from gateway.readings.writer_choice import WriterChoice

_log = logging.getLogger(__name__)

GROUP_READINGS_MAX = 1_000  # bounds the time of one commit, and with it the time to an answer
GROUP_BYTES_MAX = 1024 * 1024
QUEUE_GROUPS_MAX = 20  # full ones: some 0.2 s of work on a fast machine: more would only add delay
FULL_DISK_RETRY_S = 1.0


class CommitQueue:
    """The one writer of the readings database. All methods are for the event loop's thread."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        clock: Clock,
        recent: RecentReadings,
        on_stored: Callable[[Mapping[int, Run], int], None],
    ) -> None:
        """`recent` mirrors the log.

        `on_stored` is told the readings of each commit by device, and how many, before the answers.
        """
        self.is_full = False  # readings come in faster than the disk takes them
        self.problem = ""  # one line for people while the disk is full
        self.failure: StoreError | None = None
        self.failed = asyncio.Event()
        self._connection = connection
        self._path = path
        self._clock = clock
        self._recent = recent
        self._on_stored = on_stored
        self._groups: deque[CommitGroup] = deque()
        self._open_group: CommitGroup | None = None  # the last one, unless it is full or taken
        self._patient = PatientJobs(self._start_with_patient)
        self._is_running = False  # a flush is scheduled or in flight
        self._is_closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="readings")
        self._in_flight: tuple[CommitGroup, ThreadFuture[list[Any]]] | None = None
        self._choice = WriterChoice()

    def put(self, device: int, first: int, readings: list[bytes], source: TelemetrySource) -> None:
        """Queue the next readings of a device, by its key, from sequence `first` on.

        The list is the queue's own from then on. `source` is told of them after their commit, or
        commits where one would be too large.
        """
        group = self._open_group or self._start_group()
        count = len(readings)
        group_count = group.count + count
        byte_count = group.byte_count + sum(map(len, readings))
        if count > 1 and (group_count > GROUP_READINGS_MAX or byte_count > GROUP_BYTES_MAX):
            half = count // 2
            self.put(device, first, readings[:half], source)
            self.put(device, first + half, readings[half:], source)
            return
        run = group.runs.get(device)
        if run is None:
            group.runs[device] = Run(device, first, readings)
        else:
            run.readings.extend(readings)
        waiting = group.waiting
        waiting[source] = waiting.get(source, 0) + count
        group.count = group_count
        group.byte_count = byte_count
        if group.count >= GROUP_READINGS_MAX or group.byte_count >= GROUP_BYTES_MAX:
            self._open_group = None
            self.is_full = len(self._groups) >= QUEUE_GROUPS_MAX
        if not self._is_running:
            self._start()

    def pass_over(self, source: TelemetrySource, refusal: Rejected | None) -> None:
        """Answer what needs no storing when it is the source's turn."""
        group = self._groups[-1] if self._groups else self._start_group()
        if refusal is None:
            group.waiting[source] = group.waiting.get(source, 0) + 1
        else:
            group.refuse(source, refusal)
        if not self._is_running:
            self._start()

    async def run(
        self,
        job: Job[Result],
        then: Callable[[Result], None] = lambda _: None,
        *,
        with_empty_log: bool = False,
        patience_s: float = 0,
    ) -> Result:
        """Run a job inside the next commit, and return what it returned once that is on disk.

        `then` is told it right after the commit, even when the caller was cancelled meanwhile. The
        job meets the readings of its own commit, and none of them in the log if `with_empty_log`.
        Where no commit waits, one is made for it after `patience_s`, unless another comes before.
        """
        if self.failure is not None:
            raise self.failure
        if patience_s and self._open_group is None:
            return await self._patient.run(job, then, patience_s)
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        group = self._open_group or self._start_group()
        group.jobs.append((job, then, future))
        group.must_fold = group.must_fold or with_empty_log
        if not self._is_running:
            self._start()
        return await future

    def add_job(self, job: Job[None], done: Callable[[], None] = lambda: None) -> None:
        """Run a job inside the commit of what is put next in this turn of the event loop.

        `done` is called in a turn after that commit, never if it fails.
        """
        group = self._open_group or self._start_group()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.add_done_callback(lambda ended: done() if ended.exception() is None else None)
        group.jobs.append((job, lambda _: None, future))
        if not self._is_running:
            self._start()

    def run_now(self, job: Job[Result]) -> Result:
        """Run a job in a commit of its own before this returns: for rare work, as it may wait."""
        self._land_in_flight()
        if self.failure is not None:
            raise self.failure
        results: list[Result] = []
        try:
            self._write(CommitGroup(), [lambda connection: results.append(job(connection))])
        except DiskFullError:
            raise  # nothing was written, and what waits is still tried
        except StoreError as failure:
            self._fail(failure)
            raise
        return results[0]

    def close(self) -> None:
        """Write and answer what waits, and take no more."""
        if self._is_closed:
            return
        self._is_closed = True
        self._land_in_flight()
        if self._patient:
            self._start_group()
        while self._groups:
            group = self._take_group()
            self._settle(group, partial(self._commit, group))
        self._thread.shutdown()
        if self.failure is None:
            self.failure = StoreError(f"readings store {self._path}: it is closed")

    def _start_group(self) -> CommitGroup:
        group = self._open_group = CommitGroup()
        group.jobs.extend(self._patient.take())
        self._groups.append(group)
        return group

    def _start_with_patient(self) -> None:
        self._start_group()
        if not self._is_running:
            self._start()

    def _take_group(self) -> CommitGroup:
        group = self._groups.popleft()
        if group is self._open_group:
            self._open_group = None
        self.is_full = self.is_full and len(self._groups) >= QUEUE_GROUPS_MAX
        recent_bytes = self._recent.byte_count
        if group.runs and recent_bytes + group.byte_count > LOG_BYTES_MAX:
            group.must_fold = True
        return group

    def _start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._is_running = True
        self._groups[-1].count_seen = self._groups[-1].count
        self._loop.call_soon(self._flush)

    def _go_on(self) -> None:
        self._is_running = bool(self._groups) and not self._is_closed
        if self._is_running and self._loop is not None:
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        if not self._groups:
            return  # closed, or failed, after this was scheduled
        if self._groups[0] is self._open_group and self._open_group.is_growing():
            asyncio.get_running_loop().call_soon(self._flush)
            return
        group = self._take_group()
        if not self._choice.is_thread:
            self._settle(group, partial(self._commit, group))
            return
        loop = asyncio.get_running_loop()
        future = self._thread.submit(self._commit, group)
        self._in_flight = (group, future)
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._land, group))

    def _land(self, group: CommitGroup) -> None:
        if self._in_flight is not None and self._in_flight[0] is group:
            self._land_in_flight()

    def _land_in_flight(self) -> None:
        """Wait for the thread's group, if there is one, and answer it."""
        if self._in_flight is not None:
            group, future = self._in_flight
            self._in_flight = None
            wait((future,))
            self._choice.landed()
            self._settle(group, future.result)

    def _commit(self, group: CommitGroup) -> list[Any]:
        if not group.runs and not group.jobs:
            return []  # nothing but refusals
        return self._write(group, [job for job, _, _ in group.jobs])

    def _write(self, group: CommitGroup, jobs: list[Job[Any]]) -> list[Any]:
        """Write one transaction and return what its jobs returned; raises `StoreError`.

        An error in COMMIT itself may leave the transaction on disk: its readings were not answered,
        so their devices send them again.
        """
        connection = self._connection
        with store_faults(self._path), rolled_back_on_error(connection):
            connection.execute("BEGIN IMMEDIATE").close()
            if group.must_fold:
                fold_log(connection, self._recent.joined_with(group.runs.values()))
            elif group.runs:
                append_log(connection, group.runs)
            results = [job(connection) for job in jobs]
            started_ns = self._clock.monotonic_ns()
            connection.execute("COMMIT").close()
        self._choice.committed(self._clock.monotonic_ns() - started_ns)
        return results

    def _settle(self, group: CommitGroup, write: Callable[[], list[Any]]) -> None:
        """Write a group, or learn how its writing went, and answer it."""
        try:
            results = write()
        except DiskFullError as full:
            self._wait_for_room(group, full)
            return
        except StoreError as failure:
            self._groups.appendleft(group)
            self._fail(failure)
            return
        except Exception as bug:
            self._groups.appendleft(group)
            self._fail(StoreError(f"readings store {self._path}: internal error: {bug!r}"))
            raise
        if self.problem:
            _log.warning("readings are stored again: there is room on the disk")
            self.problem = ""
        self._go_on()
        try:
            self._note(group, results)
        except StoreError as failure:  # what it looked up in the database is damaged
            self._groups.appendleft(group)
            self._fail(failure)
            return
        self._answer(iter(group.answers()))

    def _wait_for_room(self, group: CommitGroup, full: DiskFullError) -> None:
        """Keep a group and try it again later; at the end there is no later."""
        self._groups.appendleft(group)
        if self._is_closed or self._loop is None:
            self._fail(full)
            return
        if not self.problem:
            self.problem = f"{full}; nothing is acknowledged until then"
            _log.error("%s", self.problem)
        self._loop.call_later(FULL_DISK_RETRY_S, self._flush)

    def _note(self, group: CommitGroup, results: list[Any]) -> None:
        """Note in memory what a commit left on disk, and end the jobs that ran in it."""
        if group.must_fold:
            self._recent.clear()
        else:
            self._recent.add(group.runs.values(), group.byte_count)
        self._on_stored(group.runs, group.count)
        for (_, then, future), result in zip(group.jobs, results, strict=True):
            then(result)
            if not future.done():
                future.set_result(result)

    def _answer(self, answers: Iterator[Answer]) -> None:
        try:
            for source, count, refusal in answers:
                if count:
                    source.settled(count)
                if refusal is not None:
                    source.refused(refusal)
        except Exception:
            # One caller's bug must not leave the others without an answer.
            if self._loop is not None and not self._is_closed:
                self._loop.call_soon(self._answer, answers)
            raise

    def _fail(self, failure: StoreError) -> None:
        """Refuse everything that waits, and all that comes."""
        self.failure = failure
        self._is_running = False
        groups, self._groups, self._open_group = self._groups, deque(), None
        self.is_full = False
        self.failed.set()
        self._patient.fail(failure)
        for _, _, future in [job for group in groups for job in group.jobs]:
            if not future.done():
                future.set_exception(failure)
        refused = Rejected(RejectReason.STORE_FAILED, str(failure))
        self._answer(chain.from_iterable(group.failures(refused) for group in groups))
