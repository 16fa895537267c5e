"""Power is cut at every moment of an installation that takes an older chain's place.

Whatever is left opens as one of the two chains, whole, and never as an older one than before. Where the older
chain's write-ahead file is left to chance it does not, which shows that the test would see it.
"""

import asyncio
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ledger.errors import LedgerError
from tests.support.power_loss import STDOUT, STRACE, Call, Disk, read_trace
from tests.support.snapshot_lab import EPOCH_BLOCKS, SnapshotLab

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace"),
]

ROOT = Path(__file__).parents[3]
INSTALLER = Path(__file__).with_name("chain_installer.py")
OLDER, NEWER = 8 * EPOCH_BLOCKS - 1, 8 * EPOCH_BLOCKS  # with its blocks the older one is the larger
CUTS_A_MOMENT = 4
CUTS_AT_THE_END = 20


def grow(lab: SnapshotLab, first: int, last: int, copy_to: Path | None = None) -> None:
    """Make these blocks; the copy is what would be left if the process were killed then."""
    node = lab.open_keeping()
    try:
        asyncio.run(lab.grow(node, first - 1, last - first + 1))
        if copy_to is not None:
            copy_to.mkdir()
            for path in lab.path.parent.glob("chain.db*"):
                shutil.copy(path, copy_to)
    finally:
        node.close()


def trace(folder: Path, manner: str) -> tuple[dict[Path, bytes], list[Call]]:
    """Return the files before an installation that is the folder's newest chain's, and its system calls."""
    lab = SnapshotLab(folder)
    place = folder / "behind"
    grow(lab, 1, OLDER, copy_to=place)
    grow(lab, OLDER + 1, NEWER)
    (place / "newer.snapshot").write_bytes(lab.newest_snapshot())
    content = {path: path.read_bytes() for path in place.glob("chain.db*")}
    assert content[place / "chain.db-wal"], "blocks that are nowhere else"
    record = folder / "trace"
    command: list[str | Path] = [*STRACE, record, sys.executable, INSTALLER, place, manner]
    subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, check=True, timeout=120)
    calls = list(read_trace(record))
    own = [c for c in calls if c.fd == STDOUT or place in (c.file, c.file.parent)]
    return content, [call for call in own if not call.file.name.endswith("-shm")]


def find_height(folder: Path) -> int | None:
    """Return the height of the chain that is left, as a node opens it; None where it cannot."""
    lab = SnapshotLab(folder)
    try:
        node = lab.open_keeping()
    except (LedgerError, AssertionError):
        return None
    try:
        return node.status().height
    finally:
        node.close()


def cut_power(content: dict[Path, bytes], calls: list[Call], seed: int) -> list[int | None]:
    """Return the heights that are left after cuts at each moment of an installation, in order."""
    chance = random.Random(seed)
    content = {path: data for path, data in content.items() if not path.name.endswith("-shm")}
    disk, left = Disk(content), list[int | None]()
    for number, call in enumerate(calls, start=1):
        if call.fd != STDOUT:
            disk.perform(call)
        for _ in range(CUTS_A_MOMENT if number < len(calls) else CUTS_AT_THE_END):
            with tempfile.TemporaryDirectory() as folder:
                disk.cut_power(Path(folder), chance)
                left.append(find_height(Path(folder)))
                assert not list(Path(folder).glob("*.installing*"))
    return left


def test_either_chain_is_there_and_whole(tmp_path: Path):
    content, calls = trace(tmp_path, "shipped")
    heights = cut_power(content, calls, seed=1)
    assert set(heights) == {OLDER, NEWER}
    assert heights[0] == OLDER
    assert set(heights[-CUTS_AT_THE_END:]) == {NEWER}, "installed means: on disk"


def test_a_write_ahead_file_left_to_chance_would_spoil_it(tmp_path: Path):
    content, calls = trace(tmp_path, "careless")
    assert set(cut_power(content, calls, seed=1)) != {OLDER, NEWER}
