"""Four whole ledger nodes in one process: real SQLite, real signatures, real time, epochs of six blocks.

Only the network is a queue. It shows that the shell keeps the core's promises on a disk and a state that
are the product's own.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import msgspec
import pytest

from gateway.clock import SystemClock
from ledger.light import Snapshot, verify_snapshot
from ledger.node.node import LedgerNode, Surroundings
from ledger.node.snapshots import find_checkpoint, install_snapshot, list_snapshots
from ledger.node.views import FinalBlock
from ledger.storage.reader import ChainReader
from ledger.types.genesis import Allocation, Genesis, GenesisAgent
from ledger.types.genesis_file import genesis_chain_id
from ledger.types.messages import Message
from tests.support.ledger_lab import (
    EchoExecutor,
    address_of,
    make_genesis,
    make_transfer,
    seed_of,
)
from tests.support.signer import GuardedSigner, GuardRecord

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

AGENTS = 4
SLOT_MS = 200
EPOCH_BLOCKS = 6
LATENCY_S = 0.005
PATIENCE_S = 60  # a busy machine may be slow; a healthy run takes seconds


def make_four(*, slot_ms: int = SLOT_MS, heartbeat_ms: int = 2 * SLOT_MS) -> Genesis:
    agents = tuple(
        GenesisAgent(
            node=address_of(f"node{index}"),
            consensus=address_of(f"consensus{index}"),
            metering=address_of(f"metering{index}"),
            bond=10**10,
        )
        for index in range(AGENTS)
    )
    allocations = tuple(Allocation(address_of(name), 10**12) for name in ("alice", "bob"))
    return msgspec.structs.replace(
        make_genesis(),
        slot_ms=slot_ms,
        heartbeat_ms=heartbeat_ms,
        time_ms=SystemClock().now_ms(),
        agents=agents,
        allocations=allocations,
        epoch_blocks=EPOCH_BLOCKS,
    )


@dataclass
class Place:
    """One agent's seat: its folder and its guard outlive the node that runs there."""

    index: int
    folder: Path
    genesis: Genesis
    network: "Network"
    record: GuardRecord = field(default_factory=GuardRecord)
    node: LedgerNode | None = None
    running: asyncio.Task[None] | None = None
    blocks: dict[int, FinalBlock] = field(default_factory=dict)
    heard: int = 0  # the newest block that the running node told of; 0: none yet

    @property
    def name(self) -> bytes:
        return address_of(f"node{self.index}")

    @property
    def path(self) -> Path:
        return self.folder / f"chain{self.index}.db"

    @property
    def snapshots(self) -> Path:
        return self.folder / f"snapshots{self.index}"

    @property
    def height(self) -> int:
        return max(self.blocks, default=0)

    def start(self) -> None:
        chain_id = genesis_chain_id(self.genesis)
        signer = GuardedSigner(seed_of(f"consensus{self.index}"), chain_id, self.record)
        around = Surroundings(self.name, peers=Link(self.network, self.name))
        self.node = LedgerNode.open(
            self.path,
            self.genesis,
            EchoExecutor(),
            SystemClock(),
            signer,
            around=around,
            snapshots=self.snapshots,
        )
        self.heard = 0
        self.running = asyncio.create_task(self.node.run(self._take))

    def _take(self, block: FinalBlock) -> None:
        height = block.header.height
        assert height == self.heard + 1 or (not self.heard and height > self.height)
        self.blocks[height] = block
        self.heard = height

    async def stop(self) -> None:
        node, running = self.node, self.running
        self.node = self.running = None
        if node is None or running is None:
            return
        running.cancel()
        await asyncio.wait({running})
        node.close()
        if not running.cancelled():
            running.result()


class Network:
    """Delivers after a moment, to whoever is there."""

    def __init__(self) -> None:
        self.places: dict[bytes, Place] = {}
        self.random = Random(1)

    def send(self, source: bytes, target: bytes, message: Message) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(LATENCY_S, self._deliver, source, target, message)

    def _deliver(self, source: bytes, target: bytes, message: Message) -> None:
        node = self.places[target].node
        if node is not None and self.places[source].node is not None:
            node.receive(source, message)


class Link:
    """A node's way to the others."""

    def __init__(self, network: Network, name: bytes) -> None:
        self._network = network
        self._name = name

    def _others(self) -> list[bytes]:
        return [name for name in self._network.places if name != self._name]

    def send(self, peer: bytes, message: Message) -> None:
        self._network.send(self._name, peer, message)

    def broadcast(self, message: Message) -> None:
        for peer in self._others():
            self.send(peer, message)

    def gossip(self, message: Message, peers: int) -> None:
        for peer in self._network.random.sample(self._others(), min(peers, AGENTS - 1)):
            self.send(peer, message)

    def blame(self, peer: bytes) -> None:
        raise AssertionError(f"{peer.hex()[:8]} is honest")

    def relay(self, raw: bytes) -> None:
        for peer in self._others():
            node = self._network.places[peer].node
            if node is not None:
                node.submit(raw)


@pytest.fixture
def places(tmp_path: Path) -> list[Place]:
    network, genesis = Network(), make_four()
    places = [Place(index, tmp_path, genesis, network) for index in range(AGENTS)]
    network.places = {place.name: place for place in places}
    return places


async def until(condition: Callable[[], bool], places: list[Place]) -> None:
    """Wait for a condition; whatever ends a node meanwhile is raised."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            for place in places:
                if place.running is not None and place.running.done():
                    place.running.result()
            await asyncio.sleep(0.02)


async def stop_all(places: list[Place]) -> None:
    for place in places:
        await place.stop()


def check_agreement(places: list[Place]) -> None:
    """Whoever heard of a block heard of the same one; who stopped right after a commit did not hear of it."""
    found: dict[int, set[bytes]] = {}
    for place in places:
        for height, block in place.blocks.items():
            found.setdefault(height, set()).add(block.hash + block.header.state_root)
        assert place.record.find_double_votes() == []
    assert found
    assert [height for height, hashes in found.items() if len(hashes) > 1] == []


async def test_transfers_become_final_everywhere_over_several_epochs(places: list[Place]):
    for place in places:
        place.start()
    for nonce in range(6):
        raw = make_transfer(places[0].genesis, "alice", nonce, "carol", 7)
        for place in places:
            assert place.node is not None
            assert isinstance(place.node.submit(raw), bytes)
    await until(lambda: all(place.height >= 3 * EPOCH_BLOCKS + 1 for place in places), places)
    for place in places:
        assert place.node is not None
        assert place.node.account(address_of("carol")).balance == 6 * 7
        assert place.node.status().epoch >= 3
    await stop_all(places)
    check_agreement(places)
    ends = [b for b in places[0].blocks.values() if b.header.next_set_hash != bytes(32)]
    assert [b.header.height for b in ends[:3]] == [EPOCH_BLOCKS * n for n in (1, 2, 3)]
    assert {block.header.proposer for block in places[0].blocks.values()} == {
        place.name for place in places
    }


async def test_one_may_be_away_and_follows_when_it_is_back(places: list[Place]):
    for place in places:
        place.start()
    await until(lambda: all(place.height >= 4 for place in places), places)
    away = places[3]
    await away.stop()
    before = max(place.height for place in places)
    await until(lambda: places[0].height >= before + 2 * EPOCH_BLOCKS, places)
    away.start()
    await until(lambda: away.height >= before + 2 * EPOCH_BLOCKS, places)
    await stop_all(places)
    check_agreement(places)


async def test_who_lost_its_chain_comes_back_from_a_snapshot_and_votes(places: list[Place]):
    for place in places:
        place.start()
    await until(lambda: all(place.height >= EPOCH_BLOCKS + 1 for place in places), places)
    lost, giver = places[3], places[0]
    await lost.stop()
    lost.path.unlink()
    lost.blocks.clear()
    await until(lambda: giver.height >= 2 * EPOCH_BLOCKS + 2, places)
    await until(lambda: len(list_snapshots(giver.snapshots)) == 2, places)
    reader = ChainReader.open(giver.path)
    checkpoint = find_checkpoint(reader)
    reader.close()
    assert checkpoint is not None
    data = list_snapshots(giver.snapshots)[0].read_bytes()
    snapshot = verify_snapshot(data, lost.genesis, checkpoint)
    assert isinstance(snapshot, Snapshot), snapshot
    install_snapshot(lost.path, lost.genesis, snapshot)
    lost.start()
    assert lost.node is not None
    assert lost.node.pruned_height() >= EPOCH_BLOCKS
    await until(lambda: lost.height >= 3 * EPOCH_BLOCKS, places)
    await places[2].stop()  # the three that are left are a quorum with it only
    before = max(place.height for place in places)
    await until(lambda: giver.height >= before + 3, places)
    await stop_all(places)
    check_agreement(places)


async def test_without_a_quorum_nothing_is_final_and_then_it_goes_on(places: list[Place]):
    for place in places:
        place.start()
    await until(lambda: all(place.height >= 3 for place in places), places)
    for place in places[2:]:
        await place.stop()
    await asyncio.sleep(5 * SLOT_MS / 1_000)
    before = max(place.height for place in places)
    await asyncio.sleep(10 * SLOT_MS / 1_000)
    assert max(place.height for place in places) == before
    for place in places[2:]:
        place.start()
    await until(lambda: all(place.height >= before + 3 for place in places), places)
    await stop_all(places)
    check_agreement(places)


async def test_all_may_restart_at_any_moment(places: list[Place]):
    for place in places:
        place.start()
    random = Random(7)
    for _ in range(8):
        await asyncio.sleep(random.random() * 2 * SLOT_MS / 1_000)
        place = random.choice(places)
        await place.stop()
        place.start()
    before = max(place.height for place in places)
    await until(lambda: all(place.height >= before + 3 for place in places), places)
    await stop_all(places)
    check_agreement(places)
