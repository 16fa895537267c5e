"""Hands parts of this node's snapshots to peers that ask. One at a time: whoever is not answered asks again."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from ledger.network.wire import SNAPSHOT_PART_BYTES, GetSnapshot, SnapshotPart
from ledger.node.snapshots import list_snapshots

_log = logging.getLogger(__name__)


class SnapshotDesk:
    """Create it in a running event loop. `send` never waits."""

    def __init__(self, folder: Path, send: Callable[[bytes, SnapshotPart], None]) -> None:
        self._folder = folder
        self._send = send
        self._reading: asyncio.Future[SnapshotPart] | None = None

    def ask(self, peer: bytes, wanted: GetSnapshot) -> None:
        """Answer a peer, unless another answer is being read from the disk."""
        if self._reading is not None and not self._reading.done():
            return
        loop = asyncio.get_running_loop()
        self._reading = loop.run_in_executor(None, read_part, self._folder, wanted)
        self._reading.add_done_callback(lambda read: self._answer(peer, read))

    def _answer(self, peer: bytes, read: asyncio.Future[SnapshotPart]) -> None:
        if read.cancelled():
            return
        error = read.exception()
        if error is not None:
            _log.warning("a snapshot cannot be read: %s", error)
            return
        self._send(peer, read.result())


def read_part(folder: Path, wanted: GetSnapshot) -> SnapshotPart:
    """Return the part that is asked for; one of 0 bytes where there is no such snapshot."""
    kept = [path for path in list_snapshots(folder) if wanted.epoch in (None, int(path.stem))]
    for path in kept[:1]:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(min(wanted.offset, size))
            data = file.read(SNAPSHOT_PART_BYTES)
        return SnapshotPart(int(path.stem), size, wanted.offset, data)
    return SnapshotPart(wanted.epoch or 0, 0, 0, b"")
