"""Power is cut at random moments of a real process's life; its system calls tell what is on disk then.

With synchronous=FULL nothing that was answered is lost. With NORMAL readings are lost, which shows
that the test would see it.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from gateway.errors import StoreError
from gateway.readings.store import ReadingsStore
from tests.support.power_loss import STDOUT, STRACE, Call, Disk, read_trace
from tests.support.readings import NODE_ID, ManualClock
from tests.support.readings_witness import Witness

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace"),
]

ROOT = Path(__file__).parents[3]
WRITER = Path(__file__).with_name("acknowledging_writer.py")
READINGS = 1_500
POWER_CUTS = int(os.environ.get("SMARTSHARE_POWER_CUTS", "150"))


def record(folder: Path, synchronous: str) -> list[Call]:
    """Let a writer store some readings under strace, kill it, and return its system calls."""
    trace, path = folder / "trace", folder / "readings.db"
    writer = subprocess.Popen(
        [*STRACE, trace, sys.executable, WRITER, path, "small", synchronous],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert writer.stdout is not None
        said = [writer.stdout.readline() for _ in range(READINGS)]
    finally:
        os.killpg(writer.pid, signal.SIGKILL)  # the session's only processes are these two
        writer.communicate()
    assert all(said), "the writer ended"
    files = (path, path.with_name("readings.db-wal"))
    calls = list(read_trace(trace))
    return [call for call in calls if call.fd == STDOUT or call.file in files]


def survives(folder: Path, disk: Disk, said: list[str], chance: random.Random) -> bool:
    """Tell whether what was said holds after a power cut now; the store must open in any case."""
    path = folder / "readings.db"
    disk.cut_power(folder, chance)
    try:
        ReadingsStore.open(path, ManualClock(), NODE_ID).close()
        witness = Witness(path)
        for line in said:
            witness.hear(line)
        witness.check()
    except (AssertionError, StoreError):
        return False
    return True


def count_losses(calls: list[Call], seed: int) -> int:
    """Cut the power at random moments after the first answer; return how often that lost something."""
    chance = random.Random(seed)
    first = next(index for index, call in enumerate(calls) if call.fd == STDOUT)
    moments = sorted(chance.choices(range(first + 1, len(calls)), k=POWER_CUTS))
    disk, said, losses, done = Disk(), list[str](), 0, 0
    for moment in moments:
        for call in calls[done:moment]:
            if call.fd == STDOUT:
                said += call.data.decode().splitlines(keepends=True)
            else:
                disk.perform(call)
        done = moment
        with tempfile.TemporaryDirectory() as folder:
            losses += not survives(Path(folder), disk, said, chance)
    return losses


def test_full_loses_nothing_that_was_answered(tmp_path: Path):
    calls = record(tmp_path, "FULL")
    syncs = sum(call.name == "fdatasync" for call in calls)
    assert syncs > 100, "one for each commit, and those of the checkpoints"
    assert count_losses(calls, seed=1) == 0


def test_normal_would_lose_what_was_answered(tmp_path: Path):
    assert count_losses(record(tmp_path, "NORMAL"), seed=2) > POWER_CUTS // 10
