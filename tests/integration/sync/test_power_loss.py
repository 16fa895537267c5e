"""Power is cut at random moments of a real chain's life; its system calls tell what is on disk then.

Whatever is left must open, hold every block that was told to be final, and go on. With SQLite's
`synchronous` at NORMAL blocks are lost, which shows that the test would see it.
"""

import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ledger.errors import LedgerError
from tests.support.ledger_lab import run_blocks
from tests.support.power_loss import STDOUT, STRACE, Call, Disk, read_trace
from tests.support.snapshot_lab import SnapshotLab

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace"),
]

ROOT = Path(__file__).parents[3]
WRITER = Path(__file__).with_name("chain_writer.py")
BLOCKS = 60  # twenty epochs, and pruning since the second
POWER_CUTS = int(os.environ.get("SMARTSHARE_POWER_CUTS", "60"))


def record(folder: Path, synchronous: str) -> list[Call]:
    """Let a chain grow under strace, kill it, and return its system calls on the chain database."""
    trace = folder / "trace"
    writer = subprocess.Popen(
        [*STRACE, trace, sys.executable, WRITER, folder, synchronous],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert writer.stdout is not None
        said = [writer.stdout.readline() for _ in range(BLOCKS)]
    finally:
        os.killpg(writer.pid, signal.SIGKILL)  # the session's only processes are these two
        writer.communicate()
    assert all(said), "the writer ended"
    files = (folder / "chain.db", folder / "chain.db-wal")
    calls = list(read_trace(trace))
    return [call for call in calls if call.fd == STDOUT or call.file in files]


async def goes_on(folder: Path, said: dict[int, str]) -> bool:
    """Tell whether the chain that is left holds what was said, and make one more block of it."""
    lab = SnapshotLab(folder)
    try:
        node = lab.open_keeping()
    except LedgerError:
        return False
    try:
        height = node.status().height
        if height < max(said):
            return False
        for told in range(node.pruned_height() + 1, max(said) + 1):
            block = node.block(told)
            if block is None or block.hash.hex() != said[told]:
                return False
        node.submit(lab.transfer("bob", 0))
        (block_after, *_) = await run_blocks(node, 1)
        return block_after.header.height == height + 1
    finally:
        node.close()


def count_losses(calls: list[Call], seed: int) -> int:
    """Cut the power at random moments after the first block; return how often that lost something."""
    chance = random.Random(seed)
    first = next(index for index, call in enumerate(calls) if call.fd == STDOUT)
    moments = sorted(chance.choices(range(first + 1, len(calls)), k=POWER_CUTS))
    disk, said, losses, done = Disk(), dict[int, str](), 0, 0
    for moment in moments:
        for call in calls[done:moment]:
            if call.fd == STDOUT:
                lines = (line.split() for line in call.data.decode().splitlines())
                said |= {int(height): name for height, name in lines}
            else:
                disk.perform(call)
        done = moment
        with tempfile.TemporaryDirectory() as folder:
            disk.cut_power(Path(folder), chance)
            losses += not asyncio.run(goes_on(Path(folder), said))
    return losses


def test_no_final_block_is_lost_and_the_chain_goes_on(tmp_path: Path):
    calls = record(tmp_path, "shipped")
    syncs = sum(call.name == "fdatasync" for call in calls)
    assert syncs > BLOCKS, "one for each commit at least, and those of the checkpoints"
    assert count_losses(calls, seed=1) == 0


def test_normal_would_lose_final_blocks(tmp_path: Path):
    assert count_losses(record(tmp_path, "NORMAL"), seed=2) > POWER_CUTS // 10
