"""Jobs that can wait for a commit of something else: joining it costs less than a commit of their own.

Rule: the caller is answered after that commit, as for any other job; waiting promises nothing earlier.
"""

import asyncio
from collections.abc import Callable

from gateway.errors import StoreError
from gateway.readings.commit_group import Job, QueuedJob, Result


class PatientJobs:
    """In the order of their arrival. For the event loop's thread."""

    def __init__(self, on_due: Callable[[], None]) -> None:
        """`on_due` must have the jobs taken: the patience of one of them has ended."""
        self._on_due = on_due
        self._jobs: list[QueuedJob] = []
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._jobs)

    async def run(
        self, job: Job[Result], then: Callable[[Result], None], patience_s: float
    ) -> Result:
        """Run a job inside the next commit, as `CommitQueue.run` does, in `patience_s` at most."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._jobs.append((job, then, future))
        due_s = loop.time() + patience_s
        if self._timer is None or due_s < self._timer.when():
            self._stop_timer()
            self._timer = loop.call_at(due_s, self._on_due)
        return await future

    def take(self) -> list[QueuedJob]:
        """Return the jobs for a commit that begins."""
        self._stop_timer()
        jobs, self._jobs = self._jobs, []
        return jobs

    def fail(self, failure: StoreError) -> None:
        """Tell all that wait that there will be no commit."""
        for _, _, future in self.take():
            if not future.done():
                future.set_exception(failure)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
