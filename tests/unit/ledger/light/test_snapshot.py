"""A snapshot is taken at an epoch's end; whatever is changed in it is refused, and its checkpoint is asked for."""

import asyncio
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from ledger.codec.canonical import Decoder, encode
from ledger.crypto.domains import header_hash
from ledger.errors import CodecError, Reason, Rejected
from ledger.light import Checkpoint, Snapshot, verify_snapshot
from ledger.node import snapshots
from ledger.node.snapshots import list_snapshots
from ledger.types.genesis_file import genesis_chain_id
from tests.support.ledger_lab import make_genesis
from tests.support.snapshot_lab import EPOCH_BLOCKS, SnapshotLab


async def run_two_epochs(lab: SnapshotLab) -> None:
    node = lab.open_keeping()
    try:
        await lab.grow(node, 0, 2 * EPOCH_BLOCKS)
    finally:
        node.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> SnapshotLab:
    lab = SnapshotLab(tmp_path_factory.mktemp("snapshot"))
    asyncio.run(run_two_epochs(lab))
    return lab


def verify(lab: SnapshotLab, data: bytes) -> Snapshot | Rejected:
    return verify_snapshot(data, lab.genesis, lab.checkpoint())


def test_a_whole_one_is_accepted_for_each_of_its_epochs(lab: SnapshotLab):
    data = lab.newest_snapshot()
    snapshot = verify(lab, data)
    assert isinstance(snapshot, Snapshot), snapshot
    assert len(snapshot.trail) == 2
    older = Checkpoint(0, header_hash(snapshot.trail[0].header))
    assert isinstance(verify_snapshot(data, lab.genesis, older), Snapshot)


@pytest.mark.parametrize("stride", [13, pytest.param(1, marks=pytest.mark.slow)])
def test_any_flipped_byte_is_refused(lab: SnapshotLab, stride: int):
    data, checkpoint = lab.newest_snapshot(), lab.checkpoint()
    for place in range(0, len(data), stride):
        damaged = bytearray(data)
        damaged[place] ^= 1 << place % 8
        refused = verify_snapshot(bytes(damaged), lab.genesis, checkpoint)
        assert isinstance(refused, Rejected), place


def test_a_cut_or_longer_one_is_refused(lab: SnapshotLab):
    data = lab.newest_snapshot()
    for changed in (b"", data[:1], data[:-1], data + b"\0", b"\xc1" * 64):
        refused = verify(lab, changed)
        assert isinstance(refused, Rejected)
        assert refused.reason is Reason.MALFORMED


def test_another_checkpoint_is_refused_in_one_line(lab: SnapshotLab):
    data, checkpoint = lab.newest_snapshot(), lab.checkpoint()
    for wrong in (replace(checkpoint, epoch=0), replace(checkpoint, hash=bytes(32))):
        refused = verify_snapshot(data, lab.genesis, wrong)
        assert isinstance(refused, Rejected)
        assert "checkpoint" in refused.detail
        assert "\n" not in refused.detail


def test_another_chain_is_refused(lab: SnapshotLab):
    other = make_genesis(name="other")
    refused = verify_snapshot(lab.newest_snapshot(), other, lab.checkpoint())
    assert isinstance(refused, Rejected)
    assert refused.reason is Reason.WRONG_CHAIN
    renamed = msgspec.structs.replace(
        Decoder(Snapshot).decode(lab.newest_snapshot()), chain_id=genesis_chain_id(other)
    )
    refused = verify_snapshot(encode(renamed), other, lab.checkpoint())
    assert isinstance(refused, Rejected)
    assert refused.reason is Reason.BAD_BLOCK


def test_rows_that_are_missing_added_or_out_of_order_are_refused(lab: SnapshotLab):
    snapshot = Decoder(Snapshot).decode(lab.newest_snapshot())
    rows = snapshot.state
    for state in (rows[1:], (*rows, (b"\xff" * 40, b"")), rows[::-1], (rows[0], *rows)):
        forged = msgspec.structs.replace(snapshot, state=state)
        assert isinstance(verify(lab, encode(forged)), Rejected)


def test_a_trail_that_skips_or_turns_back_is_refused(lab: SnapshotLab):
    snapshot = Decoder(Snapshot).decode(lab.newest_snapshot())
    older, newest = snapshot.trail
    for trail in ((older,), (newest, older), (newest, newest)):
        forged = msgspec.structs.replace(snapshot, trail=trail)
        assert isinstance(verify(lab, encode(forged)), Rejected)


@pytest.mark.parametrize(
    "text",
    ["", ":", "1", "1:", "x:" + "00" * 32, "-1:" + "00" * 32, "1:" + "0" * 63, "²:" + "00" * 32],
)
def test_a_checkpoint_that_is_none_is_refused(text: str):
    with pytest.raises(CodecError, match="EPOCH:HASH"):
        Checkpoint.parse(text)


def test_a_checkpoint_is_its_text():
    checkpoint = Checkpoint(7, bytes(range(32)))
    assert Checkpoint.parse(str(checkpoint)) == checkpoint


@pytest.mark.parametrize("size_max", [100, 1_800])
async def test_a_state_that_nobody_could_take_in_is_left_out_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    size_max: int,
):
    monkeypatch.setattr(snapshots, "SNAPSHOT_BYTES_MAX", size_max)
    lab = SnapshotLab(tmp_path)
    await run_two_epochs(lab)
    assert list_snapshots(lab.snapshots) == []
    messages = [record.getMessage() for record in caplog.records]
    assert any(f"{size_max}" in one and one.startswith("no snapshot") for one in messages)
