"""What a reading and an anchor cost the disk in the readings store alone, by the size of its pages.

    python -m tests.benchmarks.bench_wear [--folder DIR]

A reading is committed by itself, as one a second is. Every tenth is followed by an anchor's books: a batch
with its signed transaction, and the final status with evidence of the batch before. Bytes are `write_bytes`
of this process: pages of 4 KiB of the system's cache that became dirty. The folder must be on a disk.
"""

import argparse
import asyncio
import secrets
import tempfile
from pathlib import Path

from gateway.clock import SystemClock
from gateway.errors import Rejected
from gateway.model.observation import StoredReading
from gateway.pipeline.batch import BatchPolicy, build_batch, take_batchable
from gateway.readings.records import OutboxEntry
from gateway.readings.schema import PAGE_BYTES
from gateway.readings.store import ReadingsStore
from tests.benchmarks.bench_store import observe
from tests.benchmarks.disk_pages import create_file, read_disk_bytes

DEVICE = "device-0"
WARM_UP, READINGS = 3_000, 2_000  # the tables have their usual depth by then
READINGS_OF_ANCHOR = 10
TRANSACTION_BYTES, EVIDENCE_BYTES = 370, 1_000  # in a network of four agents
POLICY = BatchPolicy(1_000, READINGS_OF_ANCHOR)


async def store_one(store: ReadingsStore, value: int) -> None:
    """Return once a reading is on disk."""
    stored: asyncio.Future[StoredReading | Rejected] = asyncio.get_running_loop().create_future()
    store.submit(observe(0, value), stored.set_result)
    await stored


async def keep_anchor(store: ReadingsStore, before: OutboxEntry | None) -> OutboxEntry:
    """Keep an anchor of what has none, and that the one `before` is final; return the new one."""
    waiting = take_batchable(store.unanchored(DEVICE, POLICY.count_max), POLICY)
    reading = waiting[0].reading
    batch = build_batch(reading.device_id, reading.profile_hash, waiting)
    entry = OutboxEntry(secrets.token_bytes(32), secrets.token_bytes(TRANSACTION_BYTES), 1_000)
    await store.save_batch(DEVICE, batch, entry)
    if before is not None:
        await store.mark_batch_final(before.transaction_id, 1, secrets.token_bytes(EVIDENCE_BYTES))
    return entry


async def measure(path: Path, *, with_anchors: bool) -> float:
    """Return the bytes for each reading."""
    store = ReadingsStore.open(path, SystemClock(), bytes(32))
    store.register_device(DEVICE, bytes(32))
    entry, before = None, 0
    for count in range(WARM_UP + READINGS):
        if count == WARM_UP:
            before = read_disk_bytes()
        await store_one(store, count)
        if with_anchors and count % READINGS_OF_ANCHOR == 0:
            entry = await keep_anchor(store, entry)
    written = read_disk_bytes() - before
    store.close()
    return written / READINGS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--folder", type=Path, help="on the disk to measure")
    folder = parser.parse_args().folder
    print("bytes of a page  for a reading  for an anchor's books")
    for page_bytes in (4_096, 2_048, PAGE_BYTES):
        costs = []
        for with_anchors in (False, True):
            with tempfile.TemporaryDirectory(dir=folder) as place:
                path = Path(place) / "readings.db"
                create_file(path, page_bytes)
                costs.append(asyncio.run(measure(path, with_anchors=with_anchors)))
        alone, both = costs
        print(f"{page_bytes:15,}  {alone:13,.0f}  {(both - alone) * READINGS_OF_ANCHOR:21,.0f}")


if __name__ == "__main__":
    main()
