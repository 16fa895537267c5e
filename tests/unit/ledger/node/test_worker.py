"""The worker thread: results come back, and a job is never left behind."""

import asyncio
import threading

import pytest

from ledger.node.worker import Worker


async def test_results_and_errors_come_back():
    async with Worker() as worker:
        assert await worker.run(lambda: 1 + 1) == 2
        with pytest.raises(ZeroDivisionError):
            await worker.run(lambda: 1 // 0)


async def test_a_cancelled_caller_waits_for_the_end_of_its_job():
    started, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def job() -> None:
        started.set()
        may_end.wait(timeout=10)
        ended.set()

    async with Worker() as worker:
        caller = asyncio.create_task(worker.run(job))
        await asyncio.to_thread(started.wait)
        caller.cancel()
        done, _ = await asyncio.wait({caller}, timeout=0.05)
        assert not done
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert ended.is_set()


async def test_the_event_loop_stays_responsive_while_a_job_runs():
    may_end = threading.Event()
    async with Worker() as worker:
        caller = asyncio.create_task(worker.run(lambda: may_end.wait(timeout=10)))
        await asyncio.sleep(0)
        may_end.set()
        assert await caller
