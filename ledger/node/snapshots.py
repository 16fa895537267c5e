"""Snapshots of a running chain: taken at each epoch's end, kept in a folder, and how a chain goes on from one.

Rule: the moment is fixed on the thread that commits, the reading and writing happen on another one; no
block waits for a snapshot, and one that cannot be written harms nobody.
"""

import logging
import os
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from ledger.codec.canonical import Decoder, encode
from ledger.crypto.domains import header_hash
from ledger.errors import CorruptStorageError, StorageError
from ledger.light import Checkpoint, SetChange, Snapshot, encode_snapshot, make_snapshot
from ledger.light.known_chain import KnownChain, Members, members_of, members_of_genesis
from ledger.light.snapshot import SNAPSHOT_BYTES_MAX
from ledger.node.evidence import load_proof
from ledger.state.epochs import get_agent_set
from ledger.storage.faults import describe_corruption
from ledger.storage.installing import EndBlock, install_chain
from ledger.storage.reader import ChainReader, StoredAgentSet
from ledger.types.agent_set import AgentSet
from ledger.types.block import Certificate, FinalityProof, Header
from ledger.types.genesis import Genesis

KEPT_SNAPSHOTS = 2  # the older one for whoever is in the middle of fetching it
NEWEST_ENDS = 200  # a week of hourly epochs, in which a checkpoint may be carried to a new node

_log = logging.getLogger(__name__)

_headers = Decoder(Header)
_certificates = Decoder(Certificate)
_sets = Decoder(AgentSet)


def find_checkpoint(reader: ChainReader) -> Checkpoint | None:
    """Return the newest epoch's end, or None while no epoch has ended."""
    newest = reader.newest_agent_set(2**63 - 1)
    if newest is None:
        return None
    block = reader.block(newest.height)
    assert block is not None, "end blocks are kept"
    return Checkpoint(block.header.epoch, block.hash)


def take_snapshot(reader: ChainReader, genesis: Genesis) -> Snapshot:
    """Return the snapshot of a chain whose newest block ends an epoch; read within one transaction.

    Raises `StorageError`, also where nobody could take it in.
    """
    tip = reader.tip()
    assert tip is not None, "a snapshot is of an end block"
    stored = reader.agent_sets(tip.header.epoch + 1)
    trail = tuple(
        _load_change(reader, one, genesis)
        for one in _select_trail(stored, members_of_genesis(genesis))
    )
    return make_snapshot(genesis, trail, _read_state(reader))


def _read_state(reader: ChainReader) -> tuple[tuple[bytes, bytes], ...]:
    rows, size = [], 0
    for key, value in reader.state_items():
        size += len(key) + len(value)
        if size > SNAPSHOT_BYTES_MAX:
            raise StorageError(
                f"the state has more than the {SNAPSHOT_BYTES_MAX} bytes of a snapshot"
            )
        rows.append((key, value))
    return tuple(sorted(rows))


def load_known_chain(reader: ChainReader, genesis: Genesis) -> KnownChain:
    """Return what this chain knows of itself, to judge snapshots by; read within one transaction."""
    tip = reader.tip()
    stored = () if tip is None else reader.agent_sets(2**63 - 1)
    blocks = ((one.height, reader.block(one.height)) for one in stored)
    running = get_agent_set(reader)
    return KnownChain(
        height=0 if tip is None else tip.header.height,
        epoch=running.epoch,
        time_ms=genesis.time_ms if tip is None else tip.header.time_ms,
        ends={height: block.hash for height, block in blocks if block is not None},
        first_members=members_of_genesis(genesis),
        members=members_of(running),
    )


def install_snapshot(path: Path, genesis: Genesis, snapshot: Snapshot) -> None:
    """Make the chain database of a verified snapshot, in place of an older one. Raises `StorageError`."""
    install_chain(path, genesis, [_end_of(change) for change in snapshot.trail], snapshot.state)


def list_snapshots(folder: Path) -> list[Path]:
    """Return the snapshots that are kept, the newest first."""
    found = [path for path in folder.glob("*.snapshot") if path.stem.isdigit()]
    return sorted(found, key=lambda path: int(path.stem), reverse=True)


class SnapshotKeeper:
    """Takes a snapshot at every epoch's end and keeps the newest ones, as `EPOCH.snapshot`."""

    def __init__(self, folder: Path, chain: Path, genesis: Genesis) -> None:
        self._folder = folder
        self._chain = chain
        self._genesis = genesis
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="snapshot")
        self._running: Future[None] | None = None

    def epoch_ended(self) -> None:
        """Take a snapshot of this very moment, unless the last one is still being written."""
        if self._running is not None and not self._running.done():
            return
        held = ExitStack()
        try:
            reader = ChainReader.open(self._chain)
            held.callback(reader.close)
            held.enter_context(reader.snapshot())
            reader.tip()  # the first look fixes what all others see
        except StorageError as error:
            held.close()
            _log.warning("no snapshot of this epoch: %s", error)
            return
        self._running = self._pool.submit(self._keep, reader, held)

    def close(self) -> None:
        """Wait until what was begun is written."""
        self._pool.shutdown(wait=True)

    def _keep(self, reader: ChainReader, held: ExitStack) -> None:
        try:
            with held:
                snapshot = take_snapshot(reader, self._genesis)
            self._write(snapshot)
        except (StorageError, OSError) as error:
            _log.warning("no snapshot of this epoch: %s", error)

    def _write(self, snapshot: Snapshot) -> None:
        data = encode_snapshot(snapshot)
        if len(data) > SNAPSHOT_BYTES_MAX:
            raise StorageError(
                f"{len(data)} bytes are more than the {SNAPSHOT_BYTES_MAX} of a snapshot"
            )
        epoch = _headers.decode(snapshot.trail[-1].header).epoch
        self._folder.mkdir(mode=0o700, exist_ok=True)
        fresh = self._folder / "writing"
        with fresh.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._folder / f"{epoch}.snapshot")
        for old in list_snapshots(self._folder)[KEPT_SNAPSHOTS:]:
            old.unlink(missing_ok=True)
        _log.info("snapshot of epoch %d: %d bytes", epoch, len(data))


def _select_trail(stored: tuple[StoredAgentSet, ...], members: Members) -> list[StoredAgentSet]:
    """Return the sets that bring other agents, and the newest ones."""
    selected = []
    newest = len(stored) - NEWEST_ENDS
    for place, one in enumerate(stored):
        own = members_of(one.agents)
        if own != members or place >= newest:
            selected.append(one)
        members = own
    return selected


def _load_change(reader: ChainReader, stored: StoredAgentSet, genesis: Genesis) -> SetChange:
    block = reader.block(stored.height)
    if block is None:
        detail = f"block {stored.height} is missing, the agents that it names are not"
        raise CorruptStorageError(describe_corruption(reader.path, detail))
    proof = load_proof(reader, block, genesis)
    return SetChange(block.header_bytes, encode(proof.certificate), proof.headers, stored.payload)


def _end_of(change: SetChange) -> EndBlock:
    header = _headers.decode(change.header)
    certificate = _certificates.decode(change.certificate)
    return EndBlock(
        height=header.height,
        hash=header_hash(change.header),
        header=change.header,
        proof=encode(FinalityProof(change.descendants, certificate)),
        next_epoch=_sets.decode(change.next_set).epoch,
        next_set=change.next_set,
    )
