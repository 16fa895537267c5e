"""A node that starts from a snapshot: it follows to the same state, proves it, and says what it never had."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ledger.errors import PrunedError
from ledger.light import (
    Snapshot,
    StateEvidence,
    VerifiedRecord,
    build_state_file,
    verify_snapshot,
    verify_state_file,
)
from ledger.node.node import LedgerNode, Surroundings
from ledger.node.snapshots import install_snapshot
from ledger.node.views import FinalBlock
from ledger.state.keys import account_key
from ledger.types.genesis_file import genesis_chain_id
from ledger.types.messages import Message
from tests.support.ledger_lab import EchoExecutor, FastClock, address_of, seed_of
from tests.support.signer import GuardedSigner, GuardRecord
from tests.support.snapshot_lab import EPOCH_BLOCKS, SnapshotLab

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

PATIENCE_S = 60


@dataclass
class Wire:
    """Two nodes, each other's only peer."""

    nodes: dict[bytes, LedgerNode] = field(default_factory=dict)


class Link:
    """One node's way to the other."""

    def __init__(self, wire: Wire, own: bytes) -> None:
        self._wire = wire
        self._own = own

    def send(self, peer: bytes, message: Message) -> None:
        node = self._wire.nodes.get(peer)
        if node is not None:
            asyncio.get_running_loop().call_soon(node.receive, self._own, message)

    def broadcast(self, message: Message) -> None:
        for peer in self._wire.nodes:
            if peer != self._own:
                self.send(peer, message)

    def gossip(self, message: Message, peers: int) -> None:
        if peers:
            self.broadcast(message)

    def blame(self, peer: bytes) -> None:
        raise AssertionError("both are honest")

    def relay(self, raw: bytes) -> None:
        for peer, node in self._wire.nodes.items():
            if peer != self._own:
                node.take(raw)


def open_follower(lab: SnapshotLab, path: Path, link: Link) -> LedgerNode:
    chain_id = genesis_chain_id(lab.genesis)
    signer = GuardedSigner(seed_of("follower consensus"), chain_id, GuardRecord())
    around = Surroundings(address_of("follower"), link)
    return LedgerNode.open(path, lab.genesis, EchoExecutor(), FastClock(), signer, around=around)


def install(lab: SnapshotLab, path: Path) -> Snapshot:
    snapshot = verify_snapshot(lab.newest_snapshot(), lab.genesis, lab.checkpoint())
    assert isinstance(snapshot, Snapshot), snapshot
    install_snapshot(path, lab.genesis, snapshot)
    return snapshot


async def make_snapshot(lab: SnapshotLab) -> None:
    node = lab.open_keeping()
    try:
        await lab.grow(node, 0, 2 * EPOCH_BLOCKS)
    finally:
        node.close()


async def run_together(
    leader: LedgerNode,
    follower: LedgerNode,
    lab: SnapshotLab,
    is_done: Callable[[list[FinalBlock]], bool],
) -> list[FinalBlock]:
    """Run both until it is done; return the follower's final blocks."""
    heard: list[FinalBlock] = []
    running = [
        asyncio.create_task(leader.run(lambda _block: None)),
        asyncio.create_task(follower.run(heard.append)),
    ]
    leader.peer_connected(address_of("follower"))
    follower.peer_connected(lab.genesis.agents[0].node)
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not is_done(heard):
                for task in running:
                    if task.done():
                        task.result()
                await asyncio.sleep(0.02)
    finally:
        for task in running:
            task.cancel()
        await asyncio.wait(running)
    return heard


async def test_a_follower_from_a_snapshot_reaches_the_same_state(tmp_path: Path):
    lab = SnapshotLab(tmp_path)
    await make_snapshot(lab)
    path = tmp_path / "follower" / "chain.db"
    path.parent.mkdir()
    install(lab, path)

    wire = Wire()
    agent = lab.genesis.agents[0].node
    leader = lab.open_keeping(peers=Link(wire, agent))
    follower = open_follower(lab, path, Link(wire, address_of("follower")))
    wire.nodes = {agent: leader, address_of("follower"): follower}
    try:
        assert follower.status().height == 2 * EPOCH_BLOCKS
        assert follower.account(address_of("carol")).balance == 7 * 2 * EPOCH_BLOCKS
        goal = 3 * EPOCH_BLOCKS + 1  # over an epoch's end
        submitted = 2 * EPOCH_BLOCKS

        def is_done(heard: list[FinalBlock]) -> bool:
            nonlocal submitted
            if submitted < goal and leader.status().height == submitted:
                follower.submit(lab.transfer("alice", submitted))  # by way of its peer
                submitted += 1
            return bool(heard) and heard[-1].header.height >= goal

        heard = await run_together(leader, follower, lab, is_done)
        assert [block.header.height for block in heard] == list(
            range(2 * EPOCH_BLOCKS + 1, goal + 1)
        )
        newest = leader.block(goal)
        assert newest is not None
        assert heard[-1].hash == newest.hash
        assert follower.account(address_of("carol")).balance == 7 * goal
        evidence = follower.prove(account_key(address_of("carol")))
        assert isinstance(evidence, StateEvidence), evidence
        proven = verify_state_file(build_state_file(lab.genesis, evidence).encode(), lab.genesis)
        assert isinstance(proven, VerifiedRecord), proven
    finally:
        follower.close()
        leader.close()


async def test_blocks_below_the_snapshot_are_told_to_be_away_also_after_a_restart(tmp_path: Path):
    lab = SnapshotLab(tmp_path)
    await make_snapshot(lab)
    path = tmp_path / "follower.db"
    snapshot = install(lab, path)
    for _ in range(2):
        follower = open_follower(lab, path, Link(Wire(), address_of("follower")))
        try:
            assert follower.pruned_height() == 2 * EPOCH_BLOCKS
            for height in (1, 2 * EPOCH_BLOCKS):
                with pytest.raises(PrunedError, match=f"block {height} is no longer kept"):
                    follower.block(height)
            assert follower.block(2 * EPOCH_BLOCKS + 1) is None
            assert sorted(follower._reader.state_items()) == list(snapshot.state)
        finally:
            follower.close()


def test_an_installation_that_was_cut_short_is_done_again(tmp_path: Path):
    lab = SnapshotLab(tmp_path)
    asyncio.run(make_snapshot(lab))
    path = tmp_path / "follower.db"
    for suffix in ("", "-journal", "-wal", "-shm"):
        (tmp_path / f"follower.db.installing{suffix}").write_bytes(b"half of a page")
    install(lab, path)
    assert {one.name for one in tmp_path.glob("follower.db*")} == {
        "follower.db",
        "follower.db.lock",
    }
    open_follower(lab, path, Link(Wire(), address_of("follower"))).close()
