"""A gateway's store under load, to be killed: prints each reading once its store has answered.

    acknowledging_writer.py DATABASE fast|slow [FILE_BYTES_MAX]
    acknowledging_writer.py DATABASE small FULL|NORMAL

Lines: `reading DEVICE SEQUENCE VALUE` after an answer, `batch DEVICE FIRST LAST` after a batch was
kept. `slow` makes commits seem slow, so that the thread writes. No file may grow over
`FILE_BYTES_MAX`. `small` makes commits, log and checkpoints small, so that there are many, and sets
SQLite's `synchronous`. A failed write ends it with status 1 and one line.
"""

import asyncio
import itertools
import resource
import sys
from pathlib import Path

from gateway.errors import Rejected, StoreError
from gateway.model.observation import StoredReading
from gateway.readings import commit_queue
from gateway.readings.store import ReadingsStore
from tests.support.readings import NODE_ID, PROFILE, ManualClock, anchor, next_batch, power

DEVICES = ("alpha", "beta", "gamma")
IN_FLIGHT = 40  # of each device
BATCH_COUNT = 100


class Load:
    """Keeps `IN_FLIGHT` observations of each device on their way; each answer calls the next."""

    def __init__(self, store: ReadingsStore) -> None:
        self._store = store
        self._values = itertools.count(1)
        self._answered = dict.fromkeys(DEVICES, 0)
        self._full_batches: asyncio.Queue[str] = asyncio.Queue()

    async def run(self) -> None:
        for device in DEVICES:
            self._store.register_device(device, PROFILE)
            for _ in range(IN_FLIGHT):
                self._store.submit(power(device, next(self._values)), self._take)
        while True:
            await self._save_batch(await self._full_batches.get())

    def _take(self, answer: StoredReading | Rejected) -> None:
        if isinstance(answer, Rejected):
            return
        reading = answer.reading
        value = reading.quantities[0].value
        sys.stdout.write(f"reading {answer.device} {reading.sequence} {value}\n")
        self._answered[answer.device] += 1
        if self._answered[answer.device] % BATCH_COUNT == 0:
            self._full_batches.put_nowait(answer.device)
        self._store.submit(power(answer.device, next(self._values)), self._take)

    async def _save_batch(self, device: str) -> None:
        batch = next_batch(self._store, device, BATCH_COUNT)
        number = int.from_bytes(batch.root, "big")
        await self._store.save_batch(device, batch, anchor(number, raw=batch.root))
        sys.stdout.write(f"batch {device} {batch.first} {batch.last}\n")


def make_small(store: ReadingsStore, synchronous: str) -> None:
    global IN_FLIGHT, BATCH_COUNT
    IN_FLIGHT, BATCH_COUNT = 3, 20
    setattr(commit_queue, "LOG_BYTES_MAX", 3_000)  # noqa: B010 - a constant, for mypy
    for setting in (f"synchronous = {synchronous}", "wal_autocheckpoint = 30"):
        store._writer.execute(f"PRAGMA {setting}").close()


async def main(path: Path, speed: str) -> None:
    clock = ManualClock(commit_ns=20_000_000 if speed == "slow" else 0)
    store = ReadingsStore.open(path, clock, NODE_ID)
    if speed == "small":
        make_small(store, sys.argv[3])
    async with asyncio.TaskGroup() as group:
        group.create_task(store.watch())
        group.create_task(Load(store).run())


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    if len(sys.argv) > 3 and sys.argv[2] != "small":
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
    try:
        asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
    except* StoreError as failures:
        sys.exit(str(failures.exceptions[0]))
