"""Snapshots and checkpoints as a node's files: what is kept of its own chain, and one that is brought."""

from pathlib import Path

from gateway.errors import SettingsError
from gateway.settings import Home
from ledger.errors import Rejected
from ledger.light import Checkpoint, Snapshot, verify_snapshot
from ledger.light.snapshot import SNAPSHOT_BYTES_MAX
from ledger.node.snapshots import find_checkpoint, list_snapshots
from ledger.storage.reader import ChainReader
from ledger.types.genesis import Genesis


def load_checkpoint(home: Home) -> Checkpoint:
    """Return the newest epoch's end of the home's chain; raises `SettingsError` or `StorageError`."""
    reader = ChainReader.open(home.chain)
    try:
        with reader.snapshot():
            found = find_checkpoint(reader)
    finally:
        reader.close()
    if found is None:
        raise SettingsError("no epoch has ended on this chain yet: try again after its first one")
    return found


def find_snapshot(home: Home) -> Path:
    """Return the newest snapshot that this node keeps; raises `SettingsError`."""
    kept = list_snapshots(home.snapshots)
    if not kept:
        raise SettingsError(
            f"{home.snapshots}: no snapshot yet: a running node takes one at the end of each epoch"
        )
    return kept[0]


def read_snapshot(path: Path, genesis: Genesis, checkpoint: Checkpoint) -> Snapshot:
    """Return a snapshot file's content, proven; raises `SettingsError` with one line."""
    try:
        with path.open("rb") as file:
            data = file.read(SNAPSHOT_BYTES_MAX + 1)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    snapshot = verify_snapshot(data, genesis, checkpoint)
    if isinstance(snapshot, Rejected):
        raise SettingsError(f"{path}: {snapshot}")
    return snapshot
