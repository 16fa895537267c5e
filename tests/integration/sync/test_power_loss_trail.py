"""Power is cut at random moments of a light node's writes: what it said it had kept is there, whole."""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ledger.storage.trail import TrailStore
from tests.integration.sync.trail_writer import CHAIN_ID, end_of, newest_of
from tests.support.power_loss import STDOUT, STRACE, Call, Disk, read_trace

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace"),
]

ROOT = Path(__file__).parents[3]
WRITER = Path(__file__).with_name("trail_writer.py")
SAVES = 60
POWER_CUTS = int(os.environ.get("SMARTSHARE_POWER_CUTS", "60"))


def record(folder: Path) -> list[Call]:
    """Let the file grow under strace, kill the writer, and return its system calls on it."""
    trace = folder / "trace"
    writer = subprocess.Popen(
        [*STRACE, trace, sys.executable, WRITER, folder],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert writer.stdout is not None
        said = [writer.stdout.readline() for _ in range(SAVES)]
    finally:
        os.killpg(writer.pid, signal.SIGKILL)  # the session's only processes are these two
        writer.communicate()
    assert all(said), "the writer ended"
    files = (folder / "trail.db", folder / "trail.db-wal")
    return [call for call in read_trace(trace) if call.fd == STDOUT or call.file in files]


def is_whole(folder: Path, said: int) -> bool:
    """Tell whether every save that was said is there, and nothing of one is without the rest of it."""
    store = TrailStore.create_or_open(folder / "trail.db", CHAIN_ID)
    try:
        ends = store.ends(before_epoch=2**31)
        kept = len(ends)
        facts = (newest_of(kept), f"met{kept}") if kept else (None, "")
        is_consistent = (store.newest(), store.met()) == facts
        return kept >= said and ends == tuple(map(end_of, range(1, kept + 1))) and is_consistent
    finally:
        store.close()


def test_no_save_is_lost_or_torn(tmp_path: Path):
    calls = record(tmp_path)
    chance = random.Random(1)
    moments = sorted(chance.choices(range(1, len(calls)), k=POWER_CUTS))
    disk, said, done = Disk(), 0, 0
    for moment in moments:
        for call in calls[done:moment]:
            if call.fd == STDOUT:
                said = max(map(int, call.data.split()))
            else:
                disk.perform(call)
        done = moment
        with tempfile.TemporaryDirectory() as folder:
            disk.cut_power(Path(folder), chance)
            assert is_whole(Path(folder), said), f"cut after call {moment}, {said} saves were said"
