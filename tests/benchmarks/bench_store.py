"""The readings store against bare sqlite3 writing the same rows in commits of the same size.

    python tests/benchmarks/bench_store.py [READINGS]

Both write to the same folder in the same run, with WAL and synchronous=FULL, sqlite3 a row for each. The
store does more for each reading: it assigns the sequence, salts, encodes, checks and answers. Each
answer submits the next observation, so the window is what is in flight at any time. `submit` is the
general way in: the broker's messages take a shorter one, see `bench_ingest.py`.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from gateway.clock import SystemClock
from gateway.errors import Rejected
from gateway.model.observation import Observation, StoredReading
from gateway.readings import schema
from gateway.readings.commit_queue import GROUP_READINGS_MAX
from gateway.readings.queries import ReadingsReader
from gateway.readings.store import ReadingsStore
from ledger.types.reading import Quantity

CASES = ((1, 1000), (20, 400), (200, 400), (1, 1))  # devices, readings in flight
READINGS = 100_000
SMALL_WINDOW_SHARE = 50  # one reading a commit is slow: measure fewer
CREATE = "CREATE TABLE reading (device, sequence, encoded BLOB, PRIMARY KEY (device, sequence))"
INSERT = "INSERT INTO reading VALUES (?, ?, ?)"
Row = tuple[int, int, bytes]


def observe(device: int, value: int) -> Observation:
    quantities = (Quantity("power_w", value, -1, "W"), Quantity("energy_wh", value, 0, "Wh"))
    return Observation(f"device-{device}", quantities)


async def run_store(path: Path, devices: int, window: int, readings: int) -> float:
    """Return the readings per second of the store."""
    store = ReadingsStore.open(path, SystemClock(), bytes(32))
    for device in range(devices):
        store.register_device(f"device-{device}", bytes(32))
    finished = asyncio.Event()
    submitted = answered = 0

    def submit_next() -> None:
        nonlocal submitted
        observation = observe(submitted % devices, submitted)
        submitted += 1
        store.submit(observation, take)

    def take(answer: StoredReading | Rejected) -> None:
        nonlocal answered
        assert isinstance(answer, StoredReading), str(answer)
        answered += 1
        if submitted < readings:
            submit_next()
        elif answered == readings:
            finished.set()

    began = time.perf_counter()
    for _ in range(window):
        submit_next()
    await finished.wait()
    seconds = time.perf_counter() - began
    store.close()
    return readings / seconds


def run_sqlite(path: Path, rows: list[Row], group: int) -> float:
    """Return the rows per second of bare sqlite3 on a table with a row for each reading."""
    connection = schema.open_writer(path)
    connection.execute(CREATE)
    began = time.perf_counter()
    for first in range(0, len(rows), group):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(INSERT, rows[first : first + group])
        connection.execute("COMMIT")
    seconds = time.perf_counter() - began
    connection.close()
    return len(rows) / seconds


def load_rows(path: Path, devices: int) -> list[Row]:
    """Return the readings that the store kept, the devices taking turns."""
    reader = ReadingsReader.open(path)
    kept = [reader.range(f"device-{device}", 1, 2**40) for device in range(devices)]
    reader.close()
    return [
        (device, one.reading.sequence, one.encoded)
        for turn in zip(*kept, strict=True)
        for device, one in enumerate(turn)
    ]


def main() -> None:
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else READINGS
    print("devices  in flight  store readings/s  sqlite3 rows/s  ratio")
    for devices, window in CASES:
        readings = wanted if window > 1 else wanted // SMALL_WINDOW_SHARE
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
            path = Path(folder) / "readings.db"
            ours = uvloop.run(run_store(path, devices, window, readings))
            rows = load_rows(path, devices)
            bare = run_sqlite(Path(folder) / "bare.db", rows, min(window, GROUP_READINGS_MAX))
        print(f"{devices:7}  {window:9}  {ours:16,.0f}  {bare:14,.0f}  {ours / bare:5.2f}")


if __name__ == "__main__":
    main()
