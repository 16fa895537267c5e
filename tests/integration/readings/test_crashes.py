"""A real process that stores readings is killed, or its disk fails, at random moments.

After each: what was answered is there with its value, sequences have no gap, and every batch has
its signed transaction.
"""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.readings_witness import Witness

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
WRITER = Path(__file__).with_name("acknowledging_writer.py")
ROUNDS = 10
DISK_LIMIT_BYTES = 400_000


def start_writer(path: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, WRITER, path, *arguments],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("speed", ["fast", "slow"])
def test_nothing_answered_is_lost_when_the_process_is_killed(tmp_path: Path, speed: str):
    path = tmp_path / "readings.db"
    witness = Witness(path)
    dice = random.Random(speed)
    for _ in range(ROUNDS):
        with start_writer(path, speed) as writer:
            assert writer.stdout is not None
            for _ in range(dice.randint(1, 3_000)):
                witness.hear(writer.stdout.readline())
            writer.kill()
            for line in writer.stdout:
                witness.hear(line)
        witness.check()
    assert len(witness.readings) > ROUNDS
    assert witness.batches


def test_a_disk_that_takes_no_more_ends_the_process_with_one_line(tmp_path: Path):
    path = tmp_path / "readings.db"
    witness = Witness(path)

    with start_writer(path, "fast", str(DISK_LIMIT_BYTES)) as writer:
        said, complaint = writer.communicate(timeout=30)

    for line in said.splitlines(keepends=True):
        witness.hear(line)
    assert writer.returncode == 1
    assert complaint.count("\n") == 1
    assert complaint.startswith(f"readings store {path}: ")
    assert "start the gateway again" in complaint
    assert len(witness.readings) > 100
    witness.check()
