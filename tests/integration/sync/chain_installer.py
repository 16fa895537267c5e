"""A snapshot that takes an older chain's place: chain_installer.py FOLDER shipped|careless

The folder holds a `SnapshotLab`'s older chain, as a killed process left it, and `newer.snapshot`.
`careless` leaves the older chain's write-ahead file to chance.
"""

import sys
from pathlib import Path

from ledger.light import Snapshot, verify_snapshot
from ledger.node.snapshots import install_snapshot, load_known_chain
from ledger.storage import installing
from ledger.storage.reader import ChainReader
from tests.support.snapshot_lab import SnapshotLab


def forget_write_ahead_file(path: Path) -> None:
    for remainder in installing._side_files(path):
        remainder.unlink(missing_ok=True)


def main(folder: Path, manner: str) -> None:
    if manner == "careless":
        installing._fold = forget_write_ahead_file
    lab = SnapshotLab(folder)
    reader = ChainReader.open(lab.path)
    known = load_known_chain(reader, lab.genesis)
    reader.close()
    data = (folder / "newer.snapshot").read_bytes()
    snapshot = verify_snapshot(data, lab.genesis, known)
    assert isinstance(snapshot, Snapshot), snapshot
    print("begins", flush=True)
    install_snapshot(lab.path, lab.genesis, snapshot)
    print("done", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
