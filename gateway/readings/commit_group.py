"""What one commit of the readings database writes, and who waits for it."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any, TypeVar

from gateway.errors import Rejected
from gateway.ports import TelemetrySource
from gateway.readings.runs import Run

GROWING_TURNS_MAX = 8  # some milliseconds under load; a lone reading waits for none

Result = TypeVar("Result")
Job = Callable[[sqlite3.Connection], Result]
Answer = tuple[TelemetrySource, int, Rejected | None]  # so many are stored, then one is refused
QueuedJob = tuple[Job[Any], Callable[[Any], None], asyncio.Future[Any]]


class CommitGroup:
    """What one commit writes, and who waits for it."""

    __slots__ = (
        "_turns",
        "byte_count",
        "count",
        "count_seen",
        "jobs",
        "must_fold",
        "refusals",
        "runs",
        "waiting",
    )

    def __init__(self) -> None:
        self.runs: dict[int, Run] = {}
        self.count = 0
        self.byte_count = 0
        self.jobs: list[QueuedJob] = []
        self.must_fold = False
        self.waiting: dict[TelemetrySource, int] = {}  # since its last refusal in this group
        self.refusals: list[Answer] = []
        self.count_seen = 0  # when this was last looked at
        self._turns = 0

    def is_growing(self) -> bool:
        """Tell whether to wait for another turn of the event loop: this one brought readings."""
        has_grown = self.count > self.count_seen
        self.count_seen = self.count
        self._turns += 1
        return has_grown and self._turns <= GROWING_TURNS_MAX

    def refuse(self, source: TelemetrySource, refusal: Rejected) -> None:
        """Note that a source's next answer is a refusal."""
        self.refusals.append((source, self.waiting.pop(source, 0), refusal))

    def answers(self) -> list[Answer]:
        """Return what the sources are told after the commit."""
        waiting = self.waiting
        return [*self.refusals, *zip(waiting, waiting.values(), repeat(None))]

    def failures(self, refusal: Rejected) -> Iterator[Answer]:
        """Give what the sources are told if there is no commit."""
        for source, count, own in self.answers():
            for _ in range(count):
                yield source, 0, refusal
            if own is not None:
                yield source, 0, own
