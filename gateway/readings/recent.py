"""The log in memory: what the store would otherwise read back each time somebody asks.

The commit queue alone changes it, after each commit; any thread may read it.
"""

import threading
from collections.abc import Iterable, Mapping

from gateway.readings.runs import Run, merge_runs


class RecentReadings:
    """The committed readings that are in no page yet."""

    def __init__(self, runs: Mapping[int, Run]) -> None:
        """`runs` is what the log holds now."""
        self._lock = threading.Lock()
        self._runs = merge_runs(runs.values())
        self.byte_count = sum(sum(map(len, run.readings)) for run in runs.values())

    def add(self, runs: Iterable[Run], byte_count: int) -> None:
        """Note what a commit appended to the log."""
        known = self._runs
        with self._lock:
            for run in runs:
                before = known.get(run.device)
                if before is None:
                    known[run.device] = Run(run.device, run.first, run.readings.copy())
                else:
                    before.readings.extend(run.readings)
            self.byte_count += byte_count

    def clear(self) -> None:
        """Note that a commit folded the log."""
        with self._lock:
            self._runs = {}
            self.byte_count = 0

    def joined_with(self, runs: Iterable[Run]) -> dict[int, Run]:
        """Return what would be folded together with `runs`, by device key."""
        return merge_runs((*self._runs.values(), *runs))

    def all(self) -> dict[int, Run]:
        """Return a copy of everything, by device key."""
        with self._lock:
            return merge_runs(self._runs.values())

    def of(self, device: int) -> Run | None:
        """Return a copy of what there is of one device."""
        with self._lock:
            run = self._runs.get(device)
            return None if run is None else Run(device, run.first, run.readings.copy())
