"""A snapshot takes the place of a chain that nobody uses, and of no other."""

import asyncio
from pathlib import Path

import pytest

from ledger.errors import StorageError
from ledger.light import Snapshot, verify_snapshot
from ledger.node.snapshots import install_snapshot
from ledger.storage import schema
from ledger.storage.reader import ChainReader
from tests.support.snapshot_lab import EPOCH_BLOCKS, SnapshotLab

NEWER = 2 * EPOCH_BLOCKS


def grow(lab: SnapshotLab, count: int) -> None:
    node = lab.open_keeping()
    try:
        asyncio.run(lab.grow(node, 0, count))
    finally:
        node.close()


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    lab = SnapshotLab(tmp_path_factory.mktemp("newer"))
    grow(lab, NEWER)
    found = verify_snapshot(lab.newest_snapshot(), lab.genesis, lab.checkpoint())
    assert isinstance(found, Snapshot), found
    return found


@pytest.fixture
def behind(tmp_path: Path) -> SnapshotLab:
    lab = SnapshotLab(tmp_path)
    grow(lab, 1)
    return lab


def height_of(lab: SnapshotLab) -> int:
    node = lab.open_keeping()
    try:
        return node.status().height
    finally:
        node.close()


def test_a_newer_chain_takes_the_place_of_an_older_one(behind: SnapshotLab, snapshot: Snapshot):
    assert height_of(behind) == 1
    install_snapshot(behind.path, behind.genesis, snapshot)
    assert height_of(behind) == NEWER


def test_a_chain_that_is_written_or_read_stays(
    behind: SnapshotLab, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(schema.FOLDING_PRAGMAS, "busy_timeout", 1)
    node = behind.open_keeping()
    with pytest.raises(StorageError, match="another process writes this chain"):
        install_snapshot(behind.path, behind.genesis, snapshot)
    node.close()
    reader = ChainReader.open(behind.path)
    with pytest.raises(StorageError, match="locked"):
        install_snapshot(behind.path, behind.genesis, snapshot)
    reader.close()
    assert not list(behind.path.parent.glob("*.installing*"))
    assert height_of(behind) == 1


def test_what_an_installation_left_that_was_cut_short_is_taken_away(behind: SnapshotLab):
    remainder = behind.path.with_name("chain.db.installing")
    remainder.write_bytes(b"half of a page")
    assert height_of(behind) == 1
    assert not remainder.exists()
