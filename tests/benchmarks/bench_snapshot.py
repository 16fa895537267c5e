"""What a snapshot costs: taking it beside a running chain, checking it, and making a chain of it.

    python -m tests.benchmarks.bench_snapshot [ACCOUNTS ...]

In the same run: how long the node's event loop was held up at worst, while blocks were made with and
without a snapshot being taken.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ledger.crypto.hashing import sha256
from ledger.light import Snapshot, encode_snapshot, verify_snapshot
from ledger.node.snapshots import install_snapshot
from ledger.types.genesis import Allocation
from tests.support.snapshot_lab import EPOCH_BLOCKS, SnapshotLab

BEAT_S = 0.002


class Pulse:
    """Beats on the event loop and notes the longest pause."""

    def __init__(self) -> None:
        self.longest_s = 0.0

    async def run(self) -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(BEAT_S)
            now = time.perf_counter()
            self.longest_s = max(self.longest_s, now - last)
            last = now


@contextmanager
def timed(name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    print(f"  {name:<28}{time.perf_counter() - start:8.2f} s")


async def grow(lab: SnapshotLab, start: int, count: int, *, is_keeping: bool) -> float:
    """Make blocks; return the longest pause of the event loop."""
    node = lab.open_keeping() if is_keeping else lab.open()
    pulse = Pulse()
    try:
        async with asyncio.TaskGroup() as group:
            beating = group.create_task(pulse.run())
            await lab.grow(node, start, count)
            if is_keeping and node._snapshots is not None:
                await asyncio.to_thread(node._snapshots.close)
            beating.cancel()
    finally:
        node.close()
    return pulse.longest_s


def measure(accounts: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lab = SnapshotLab(Path(folder))
        crowd = tuple(Allocation(sha256(b"%d" % number), 10**9) for number in range(accounts))
        lab.genesis = msgspec.structs.replace(
            lab.genesis, allocations=(*lab.genesis.allocations, *crowd)
        )
        lab.resign()
        print(f"{accounts} accounts")
        quiet_s = asyncio.run(grow(lab, 0, EPOCH_BLOCKS, is_keeping=False))
        with timed("an epoch with its snapshot"):
            taking_s = asyncio.run(grow(lab, EPOCH_BLOCKS, EPOCH_BLOCKS, is_keeping=True))
        data = lab.newest_snapshot()
        print(f"  {'snapshot':<28}{len(data) / 1e6:8.2f} MB")
        print(f"  {'longest pause without, with':<28}{quiet_s:8.3f} {taking_s:.3f} s")
        with timed("check"):
            snapshot = verify_snapshot(data, lab.genesis, lab.checkpoint())
        assert isinstance(snapshot, Snapshot), snapshot
        assert encode_snapshot(snapshot) == data
        with timed("make the chain of it"):
            install_snapshot(Path(folder) / "other.db", lab.genesis, snapshot)


if __name__ == "__main__":
    for argument in sys.argv[1:] or ("1000", "100000"):
        measure(int(argument))
