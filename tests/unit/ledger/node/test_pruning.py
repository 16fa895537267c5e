"""Old blocks go, some with each new one; what proofs and newcomers stand on stays, and the rest says so."""

from pathlib import Path

import pytest

from ledger.errors import PrunedError
from ledger.light import (
    AnchorEvidence,
    Snapshot,
    StateEvidence,
    VerifiedRecord,
    build_state_file,
    verify_snapshot,
    verify_state_file,
)
from ledger.node.node import LedgerNode
from ledger.node.views import Progress
from ledger.state.keys import account_key
from ledger.storage import pruning
from tests.support.ledger_lab import address_of
from tests.support.snapshot_lab import EPOCH_BLOCKS, SnapshotLab

KEEP = 4


@pytest.fixture
def lab(tmp_path: Path) -> SnapshotLab:
    return SnapshotLab(tmp_path)


def kept_blocks(node: LedgerNode) -> list[int]:
    """The heights whose row is there, whole or not."""
    tip = node.status().height
    return [height for height in range(1, tip + 1) if node._reader.block(height) is not None]


async def test_what_is_older_goes_and_ends_of_epochs_stay(lab: SnapshotLab):
    node = lab.open_keeping(keep_blocks=KEEP)
    try:
        await lab.grow(node, 0, 3 * EPOCH_BLOCKS + 2)
        assert node.pruned_height() == 3 * EPOCH_BLOCKS + 2 - KEEP == 7
        assert kept_blocks(node) == [3, 6, 8, 9, 10, 11]
        for height in (1, 3, 7):
            with pytest.raises(PrunedError, match=f"block {height} is no longer kept"):
                node.block(height)
        for height in (8, 11):
            assert node.block(height) is not None
    finally:
        node.close()


async def test_the_running_epoch_and_its_root_stay_however_few_are_wanted(lab: SnapshotLab):
    node = lab.open_keeping(keep_blocks=1)
    try:
        await lab.grow(node, 0, 2 * EPOCH_BLOCKS + 2)
        assert node.pruned_height() == 2 * EPOCH_BLOCKS - 1
        assert kept_blocks(node) == [3, 6, 7, 8]
    finally:
        node.close()
    lab.open_keeping(keep_blocks=1).close()


async def test_a_database_that_was_kept_whole_shrinks_bit_by_bit(
    lab: SnapshotLab, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pruning, "PRUNED_AT_ONCE", 2)
    node = lab.open_keeping()
    try:
        await lab.grow(node, 0, 3 * EPOCH_BLOCKS)
        assert node.pruned_height() == 0
    finally:
        node.close()
    node = lab.open_keeping(keep_blocks=KEEP)
    try:
        pruned = []
        for nonce in range(3 * EPOCH_BLOCKS, 3 * EPOCH_BLOCKS + 4):
            await lab.grow(node, nonce, 1)
            pruned.append(node.pruned_height())
        assert pruned == [2, 4, 6, 8]
    finally:
        node.close()


async def test_proofs_and_snapshots_hold_after_pruning(lab: SnapshotLab):
    node = lab.open_keeping(keep_blocks=KEEP)
    try:
        sent = [lab.transfer("alice", nonce) for nonce in range(4 * EPOCH_BLOCKS)]
        ids = []
        for nonce, raw in enumerate(sent):
            await lab.grow(node, nonce, 1)
            taken = node.submit(raw)
            if isinstance(taken, bytes):
                ids.append(taken)
        evidence = node.prove(account_key(address_of("carol")))
        assert isinstance(evidence, StateEvidence), evidence
        text = build_state_file(lab.genesis, evidence).encode()
        assert isinstance(verify_state_file(text, lab.genesis), VerifiedRecord)
        assert len(ids) == len(sent)  # each was final when it was sent again
        assert node.anchor_evidence(ids[0]) is None
        assert node.transaction(ids[0]).progress is Progress.UNKNOWN
        assert isinstance(node.anchor_evidence(ids[-1]), AnchorEvidence)
    finally:
        node.close()
    snapshot = verify_snapshot(lab.newest_snapshot(), lab.genesis, lab.checkpoint())
    assert isinstance(snapshot, Snapshot), snapshot
    assert len(snapshot.trail) == 4


async def test_a_transaction_that_is_no_longer_kept_cannot_be_sent_again(lab: SnapshotLab):
    node = lab.open_keeping(keep_blocks=KEEP)
    try:
        await lab.grow(node, 0, 3 * EPOCH_BLOCKS)
        again = node.submit(lab.transfer("alice", 0))
        assert not isinstance(again, bytes)
        assert "nonce" in str(again)
    finally:
        node.close()
