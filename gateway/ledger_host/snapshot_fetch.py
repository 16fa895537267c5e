"""Fetches a snapshot from peers: for a node that has no chain yet, or one that is too far behind.

Rule 1: all of a snapshot comes from one peer and is checked as a whole; one that is wrong costs that peer
its turn, and the next is asked.
Rule 2: parts are asked for so slowly that the answers stay within what a peer may send.
"""

import asyncio
import logging
from collections.abc import Callable, Collection

from gateway.ledger_host.peers.seams import NodeSide, PeerNetwork
from ledger.errors import Rejected
from ledger.light import Snapshot
from ledger.light.snapshot import SNAPSHOT_BYTES_MAX
from ledger.network.gatekeeper import BYTES_PER_S
from ledger.network.wire import (
    SNAPSHOT_PART_BYTES,
    GetSnapshot,
    SnapshotMessage,
    SnapshotPart,
)

_log = logging.getLogger(__name__)

PART_INTERVAL_S = 1.25 * SNAPSHOT_PART_BYTES / BYTES_PER_S
PART_TIMEOUT_S = 15.0  # half a megabyte over a slow uplink
PART_TRIES = 3  # a busy peer drops a question
LOOK_INTERVAL_S = 0.25  # for peers that have come
TURN_INTERVAL_S = 30.0  # before a peer that had nothing is asked again


class SnapshotFetch:
    """One attempt to get a snapshot. Snapshots of epochs before `epoch_min` are not downloaded."""

    def __init__(
        self,
        network: PeerNetwork,
        judge: Callable[[bytes], Snapshot | Rejected],
        epoch_min: int = 0,
    ) -> None:
        """`judge` proves a snapshot from its bytes; it runs on a thread of its own."""
        self._network = network
        self._judge = judge
        self._epoch_min = epoch_min
        self._awaited: tuple[bytes, asyncio.Future[SnapshotPart]] | None = None
        self._asked_at_s: dict[bytes, float] = {}

    async def run(self, agents: Collection[bytes]) -> Snapshot:
        """Stay connected for a node without a chain and `find` one; `agents` are those of its genesis."""
        side = NodeSide(agents=lambda: agents, snapshot=self.hear)
        async with asyncio.TaskGroup() as group:
            connecting = group.create_task(self._network.run(side))
            snapshot = await self.find()
            connecting.cancel()
        return snapshot

    async def find(self) -> Snapshot:
        """Ask connected peers in turn until one gives a snapshot that is genuine."""
        while True:
            for peer in self._whose_turn():
                snapshot = await self._ask(peer)
                self._asked_at_s[peer] = asyncio.get_running_loop().time()
                if snapshot is not None:
                    return snapshot
            await asyncio.sleep(LOOK_INTERVAL_S)

    def hear(self, peer: bytes, message: SnapshotMessage) -> None:
        """Take a part that was asked for."""
        if self._awaited is None or not isinstance(message, SnapshotPart):
            return
        asked, answer = self._awaited
        if asked == peer and not answer.done():
            answer.set_result(message)

    def _whose_turn(self) -> list[bytes]:
        now_s = asyncio.get_running_loop().time()
        return [
            peer
            for peer in sorted(self._network.connected)
            if now_s - self._asked_at_s.get(peer, now_s - TURN_INTERVAL_S) >= TURN_INTERVAL_S
        ]

    async def _ask(self, peer: bytes) -> Snapshot | None:
        name = peer.hex()[:16]
        data = await self._download(peer)
        if data is None:
            _log.info("peer %s gives no snapshot that is of use", name)
            return None
        found = await asyncio.to_thread(self._judge, data)
        if isinstance(found, Rejected):
            _log.warning("the snapshot of peer %s is not used: %s", name, found)
            return None
        _log.info("the snapshot of peer %s, %d bytes, is genuine", name, len(data))
        return found

    async def _download(self, peer: bytes) -> bytes | None:
        """Return all of the peer's newest snapshot; None where it is too old, none, or contradicts itself."""
        first = await self._get(peer, GetSnapshot(None, 0))
        if first is None or not 0 < first.size <= SNAPSHOT_BYTES_MAX:
            return None
        if first.epoch < self._epoch_min or not _is_whole(first):
            return None
        data = bytearray(first.data)
        while len(data) < first.size:
            await asyncio.sleep(PART_INTERVAL_S)
            part = await self._get(peer, GetSnapshot(first.epoch, len(data)))
            if part is None or (part.epoch, part.size) != (first.epoch, first.size):
                return None
            if not _is_whole(part):
                return None
            data += part.data
        return bytes(data)

    async def _get(self, peer: bytes, wanted: GetSnapshot) -> SnapshotPart | None:
        for _ in range(PART_TRIES):
            answer = asyncio.get_running_loop().create_future()
            self._awaited = (peer, answer)
            self._network.send(peer, wanted)
            try:
                async with asyncio.timeout(PART_TIMEOUT_S):
                    part: SnapshotPart = await answer
            except TimeoutError:
                continue
            finally:
                self._awaited = None
            if part.offset == wanted.offset:
                return part
        return None


def _is_whole(part: SnapshotPart) -> bool:
    """Tell whether a part is as long as it must be: short ones would keep us waiting for ever."""
    return len(part.data) == min(SNAPSHOT_PART_BYTES, part.size - part.offset)
