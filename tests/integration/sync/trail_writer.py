"""A light node's file that grows until it is killed: prints each epoch once its end block is saved.

trail_writer.py FOLDER. Checkpoints are small, so that there are many.
"""

import itertools
import sys
from pathlib import Path

from ledger.storage.trail import PRAGMAS, StoredEnd, TrailStore

CHAIN_ID = bytes(32)
END_BYTES = 1_500  # spans pages


def end_of(epoch: int) -> StoredEnd:
    filler = epoch.to_bytes(4, "big") * (END_BYTES // 4)
    return StoredEnd(epoch, b"header%d" % epoch, filler, filler[::-1])


def newest_of(epoch: int) -> bytes:
    return b"newest%d" % epoch


def main(folder: Path) -> None:
    PRAGMAS["wal_autocheckpoint"] = 30
    store = TrailStore.create_or_open(folder / "trail.db", CHAIN_ID)
    for epoch in itertools.count(1):
        store.save([end_of(epoch)], newest_of(epoch), f"met{epoch}")
        sys.stdout.write(f"{epoch}\n")


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    main(Path(sys.argv[1]))
