"""One thread for everything that blocks, one piece of work at a time."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Self, TypeVar

_T = TypeVar("_T")


class Worker:
    """A context manager around the thread."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    async def run(self, job: Callable[[], _T]) -> _T:
        """Return what `job` returns.

        A cancelled caller still waits for the job's end: a thread cannot be stopped, and whoever
        closes the database next must not find it at work.
        """
        future = asyncio.get_running_loop().run_in_executor(self._pool, job)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            raise
