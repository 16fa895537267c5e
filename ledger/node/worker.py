"""Threads for what blocks: one for the chain and the signer, a few for signatures.

Rule: whoever leaves the context waits for the jobs that run: a thread cannot be stopped, and whoever
closes the database next must not find it at work.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

_T = TypeVar("_T")

VERIFIERS = 2  # libsodium lets go of the interpreter's lock; more would starve a small gateway


class Worker:
    """An async context manager around the threads."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._verifiers = ThreadPoolExecutor(VERIFIERS, thread_name_prefix="ledger-verify")
        self._running: set[asyncio.Future[object]] = set()
        self.is_closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.is_closed = True
        running = list(self._running)
        if running:
            await asyncio.wait(running)
        for future in running:
            future.exception()  # seen: nobody is left to be told
        self._pool.shutdown()
        self._verifiers.shutdown()

    async def run(self, job: Callable[[], _T]) -> _T:
        """Return what `job` returns, run on the chain's thread in its turn.

        A cancelled caller still waits for the job's end.
        """
        future = asyncio.get_running_loop().run_in_executor(self._pool, job)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            raise

    def start(self, job: Callable[[], _T], done: Callable[[asyncio.Future[_T]], None]) -> None:
        """Run `job` on the chain's thread in its turn; `done` gets its result on the event loop."""
        self._start(self._pool, job, done)

    def start_verifying(
        self, job: Callable[[], _T], done: Callable[[asyncio.Future[_T]], None]
    ) -> None:
        """Run `job` on a thread for signatures; `done` gets its result on the event loop."""
        self._start(self._verifiers, job, done)

    def _start(
        self,
        pool: ThreadPoolExecutor,
        job: Callable[[], _T],
        done: Callable[[asyncio.Future[_T]], None],
    ) -> None:
        future = asyncio.get_running_loop().run_in_executor(pool, job)
        self._running.add(future)  # type: ignore[arg-type]  # only waited for
        future.add_done_callback(self._running.discard)
        future.add_done_callback(done)
