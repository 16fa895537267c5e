"""A one-agent chain that grows until it is killed: prints `HEIGHT HASH` of each block that is final.

chain_writer.py FOLDER shipped|NORMAL

Epochs are of three blocks, four are kept; checkpoints are small, so that there are many. `NORMAL`
is SQLite's `synchronous` instead of what ships.
"""

import asyncio
import sys
from pathlib import Path

from ledger.node.views import FinalBlock
from ledger.storage import schema
from tests.support.snapshot_lab import SnapshotLab

KEEP_BLOCKS = 4
WAITING = 3  # transfers


async def main(folder: Path, synchronous: str) -> None:
    schema.WRITER_PRAGMAS["wal_autocheckpoint"] = 30
    if synchronous != "shipped":
        schema.WRITER_PRAGMAS["synchronous"] = synchronous
    lab = SnapshotLab(folder)
    node = lab.open_keeping(keep_blocks=KEEP_BLOCKS)
    nonces = iter(range(1_000))
    for _ in range(WAITING):
        node.submit(lab.transfer("alice", next(nonces)))

    def tell(block: FinalBlock) -> None:
        sys.stdout.write(f"{block.header.height} {block.hash.hex()}\n")
        for _ in block.transactions:
            node.submit(lab.transfer("alice", next(nonces)))

    await node.run(tell)


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
