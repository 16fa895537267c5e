"""A running node that is further behind than its peers keep blocks gets a snapshot and goes on from that.

Rule 1: what it already has is the starting point: nothing that is final here is given up, and its own newest
agents are trusted for as long as they could lose their bonds (docs/NETWORK.md). Later a checkpoint is needed.
Rule 2: the chain stays as it is until a snapshot is proven; then the node ends and is opened again on it.
Rule 3: a node that fills an archive waits for the blocks: the archive would have a gap for ever.
"""

import asyncio
import logging
from dataclasses import dataclass, field

from gateway.clock import Clock
from gateway.ledger_host.archiving import find_archive_url
from gateway.ledger_host.checkpoint import find_checkpoint
from gateway.ledger_host.lag import Lag
from gateway.ledger_host.peers.seams import PeerNetwork
from gateway.ledger_host.snapshot_fetch import SnapshotFetch
from gateway.settings import Home, Settings
from ledger.errors import Reason, Rejected
from ledger.light import Checkpoint, Snapshot, verify_snapshot
from ledger.light.follower import TRUST_PERIOD_MS
from ledger.light.known_chain import KnownChain
from ledger.light.snapshot import StartingPoint
from ledger.network.wire import Pruned, SnapshotMessage
from ledger.node.node import LedgerNode
from ledger.node.snapshots import load_known_chain
from ledger.params import DAY_MS
from ledger.storage.reader import ChainReader
from ledger.types.genesis import Genesis

LOOK_INTERVAL_S = 1.0

_log = logging.getLogger(__name__)


def choose_start(
    known: KnownChain, checkpoint: Checkpoint | None, now_ms: int | None
) -> tuple[StartingPoint, ...] | Rejected:
    """Return what a snapshot must stand on, or why none may be taken; `now_ms` is None without a clock.

    A checkpoint of an epoch that has ended here says nothing new.
    """
    if checkpoint is not None and checkpoint.epoch >= known.epoch:
        return known, checkpoint
    if now_ms is None:
        detail = (
            "whether the agents of its newest block can still be trusted takes a synchronised clock"
        )
        return Rejected(Reason.TOO_EARLY, f"{detail}, or set a newer ledger.checkpoint")
    age_ms = now_ms - known.time_ms
    if age_ms > TRUST_PERIOD_MS:
        days, trusted = age_ms // DAY_MS, TRUST_PERIOD_MS // DAY_MS
        detail = f"its newest block is {days} days old, and agents are trusted for {trusted}"
        return Rejected(Reason.TOO_LATE, f"{detail}: set a newer ledger.checkpoint")
    return (known,)


@dataclass(slots=True)
class CatchingUp:
    """Watches one node for as long as it is open. `problem` is what the operator should know, or empty."""

    home: Home
    settings: Settings
    genesis: Genesis
    clock: Clock
    network: PeerNetwork
    node: LedgerNode
    problem: str = ""
    _lag: Lag = field(init=False)
    _fetch: SnapshotFetch | None = None

    def __post_init__(self) -> None:
        """Begin with a node that nobody has said anything about."""
        self._lag = Lag(self.genesis.heartbeat_ms)

    def hear(self, peer: bytes, message: SnapshotMessage) -> None:
        """Take what a peer says about snapshots, or about blocks that it no longer keeps."""
        if isinstance(message, Pruned):
            self._lag.note_pruned(peer, message.height)
        elif self._fetch is not None:
            self._fetch.hear(peer, message)

    async def run(self) -> Snapshot:
        """Return a snapshot, proven, once this node is lost without it. Raises `StorageError`."""
        while True:
            if self._is_lost():
                snapshot = await self._get_snapshot()
                if snapshot is not None:
                    return snapshot
            else:
                self._tell("")
            await asyncio.sleep(LOOK_INTERVAL_S)

    def _is_lost(self) -> bool:
        now_s = asyncio.get_running_loop().time()
        self._lag.note_height(self.node.status().height, now_s)
        return self._lag.is_lost(now_s)

    async def _get_snapshot(self) -> Snapshot | None:
        """Ask for one until the node is no longer lost; None then, and where none may be taken."""
        known = await asyncio.to_thread(self._load_known)
        start = self._choose_start(known)
        if isinstance(start, Rejected):
            self._tell(
                f"peers no longer keep block {known.height + 1}, the next one: {start.detail}"
            )
            return None
        self._tell(
            f"peers no longer keep block {known.height + 1}, the next one: asking them for a snapshot"
        )
        self._fetch = SnapshotFetch(self.network, self._judge, epoch_min=known.epoch)
        try:
            async with asyncio.TaskGroup() as group:
                finding = group.create_task(self._fetch.find())
                watching = group.create_task(self._wait_for_block())
                await asyncio.wait({finding, watching}, return_when=asyncio.FIRST_COMPLETED)
                finding.cancel()
                watching.cancel()
        finally:
            self._fetch = None
        return None if finding.cancelled() else finding.result()

    async def _wait_for_block(self) -> None:
        while True:
            await asyncio.sleep(LOOK_INTERVAL_S)
            if not self._is_lost():
                return

    def _choose_start(self, known: KnownChain) -> tuple[StartingPoint, ...] | Rejected:
        if find_archive_url(self.settings) is not None:
            detail = "its archive needs them all: fill it from a node that keeps all"
            return Rejected(Reason.NOT_RUN, detail)
        now_ms = self.clock.now_ms() if self.clock.is_synchronised() else None
        return choose_start(known, find_checkpoint(self.home, self.settings), now_ms)

    def _judge(self, data: bytes) -> Snapshot | Rejected:
        """Prove a snapshot against the chain as it is now. On a thread of its own."""
        start = self._choose_start(self._load_known())
        if isinstance(start, Rejected):
            return start
        return verify_snapshot(data, self.genesis, *start)

    def _load_known(self) -> KnownChain:
        reader = ChainReader.open(self.home.chain)
        try:
            with reader.snapshot():
                return load_known_chain(reader, self.genesis)
        finally:
            reader.close()

    def _tell(self, problem: str) -> None:
        if problem and problem != self.problem:
            _log.warning("further behind than its peers: %s", problem)
        elif self.problem and not problem:
            _log.info("block %d came: blocks follow again", self.node.status().height)
        self.problem = problem
