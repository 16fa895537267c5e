"""A node that is too far behind: on what a snapshot must stand, and how it comes by one."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.ledger_host import catching_up, lag, snapshot_fetch
from gateway.ledger_host.catching_up import CatchingUp, choose_start
from gateway.ledger_host.snapshot_desk import read_part
from gateway.settings import Home, LedgerSection, Settings
from ledger.codec.canonical import encode
from ledger.errors import Rejected
from ledger.light import Checkpoint, Snapshot
from ledger.light.follower import TRUST_PERIOD_MS
from ledger.light.known_chain import KnownChain
from ledger.network.wire import GetSnapshot, NetworkMessage, Pruned, SnapshotPart
from ledger.node.node import LedgerNode
from ledger.node.snapshots import install_snapshot
from ledger.params import DAY_MS
from tests.support.ledger_lab import START_MS, FastClock
from tests.support.snapshot_lab import EPOCH_BLOCKS, SnapshotLab

PATIENCE_S = 20
LIAR, HONEST, POOR = (name * 32 for name in (b"a", b"b", b"c"))  # asked in this order
BEHIND, NEWER = EPOCH_BLOCKS + 1, 3 * EPOCH_BLOCKS
Answer = Callable[[GetSnapshot], SnapshotPart]


def known(time_ms: int = START_MS) -> KnownChain:
    return KnownChain(25, 2, time_ms, {}, frozenset(), frozenset())


def refusal(*arguments: Any) -> str:
    refused = choose_start(*arguments)
    assert isinstance(refused, Rejected)
    assert "\n" not in refused.detail
    return refused.detail


def test_the_own_chain_is_enough_within_the_trust_period():
    chain = known()
    assert choose_start(chain, None, START_MS) == (chain,)
    assert choose_start(chain, None, START_MS + TRUST_PERIOD_MS) == (chain,)


def test_later_a_checkpoint_is_needed():
    late = START_MS + TRUST_PERIOD_MS + DAY_MS
    assert "22 days old" in refusal(known(), None, late)
    assert "set a newer ledger.checkpoint" in refusal(known(), Checkpoint(1, bytes(32)), late)
    newer = Checkpoint(2, bytes(32))
    assert choose_start(known(), newer, late) == (known(), newer)


def test_without_a_clock_a_checkpoint_is_needed():
    assert "synchronised clock" in refusal(known(), None, None)
    newer = Checkpoint(7, bytes(32))
    assert choose_start(known(), newer, None) == (known(), newer)


def test_a_checkpoint_that_is_newer_is_asked_for_even_within_the_trust_period():
    newer = Checkpoint(2, bytes(32))
    assert choose_start(known(), newer, START_MS) == (known(), newer)
    assert choose_start(known(), Checkpoint(1, bytes(32)), START_MS) == (known(),)


class Network:
    """Peers that answer at once, each in its own way; notes who was asked."""

    def __init__(self, **peers: Answer) -> None:
        self.answers = {bytes(name, "ascii") * 32: answer for name, answer in peers.items()}
        self.hear: Callable[[bytes, SnapshotPart], None]
        self.asked: list[bytes] = []

    @property
    def connected(self) -> frozenset[bytes]:
        return frozenset(self.answers)

    def send(self, peer: bytes, message: NetworkMessage) -> None:
        assert isinstance(message, GetSnapshot)
        self.asked.append(peer)
        part = self.answers[peer](message)
        asyncio.get_running_loop().call_soon(self.hear, peer, part)


def serve(data: bytes, epoch: int = 2) -> Answer:
    return lambda wanted: SnapshotPart(epoch, len(data), wanted.offset, data[wanted.offset :])


def serve_folder(folder: Path) -> Answer:
    return lambda wanted: read_part(folder, wanted)


class Clock(FastClock):
    """Says what time it is, or that it does not know."""

    def __init__(self, now_ms: int) -> None:
        super().__init__()
        self.told_ms: int | None = now_ms

    def now_ms(self) -> int:
        assert self.told_ms is not None
        return self.told_ms

    def is_synchronised(self) -> bool:
        return self.told_ms is not None


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> SnapshotLab:
    """A chain of three epochs; `behind.db` beside it is what it was in the second one."""
    lab = SnapshotLab(tmp_path_factory.mktemp("newer"))

    def grow(first: int, last: int) -> None:
        node = lab.open_keeping()
        try:
            asyncio.run(lab.grow(node, first, last - first))
        finally:
            node.close()

    grow(0, BEHIND)
    shutil.copy(lab.path, lab.path.with_name("behind.db"))
    grow(BEHIND, NEWER)
    return lab


class Behind:
    """A node in the second epoch."""

    def __init__(self, home: Home, newer: SnapshotLab) -> None:
        shutil.copy(newer.path.with_name("behind.db"), home.chain)
        self.home = home
        self.lab = SnapshotLab(home.chain.parent)
        self.node: LedgerNode = self.lab.open_keeping()
        self.time_ms = self.node.status().time_ms

    def catching_up(
        self, network: Network, ledger: LedgerSection | None = None, now_ms: int | None = None
    ) -> CatchingUp:
        settings = Settings("gw1", ledger=ledger or LedgerSection())
        clock = Clock(self.time_ms if now_ms is None else now_ms)
        found = CatchingUp(
            self.home,
            settings,
            self.lab.genesis,
            cast("Any", clock),
            cast("Any", network),
            self.node,
        )
        network.hear = found.hear
        return found


@pytest.fixture
def behind(tmp_path: Path, newer: SnapshotLab, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(catching_up, "LOOK_INTERVAL_S", 0.01)
    monkeypatch.setattr(snapshot_fetch, "LOOK_INTERVAL_S", 0.01)
    monkeypatch.setattr(lag, "STALL_S", 0.02)
    monkeypatch.setattr(lag, "STALL_HEARTBEATS", 0)
    home = Home(tmp_path)
    home.create()
    found = Behind(home, newer)
    yield found
    found.node.close()


async def catch_up(watch: CatchingUp, pruned: int = NEWER) -> Snapshot:
    """Run until there is a snapshot; a peer has said what it no longer keeps."""
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        running = group.create_task(watch.run())
        await asyncio.sleep(0)  # it has looked at its height
        watch.hear(HONEST, Pruned(pruned))
        return await running


async def until(is_so: Callable[[], object]) -> None:
    while True:
        if is_so():
            return
        await asyncio.sleep(0.01)


async def problem_of(watch: CatchingUp, pruned: int = NEWER) -> str:
    """Run until there is something to tell."""
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        running = group.create_task(watch.run())
        await asyncio.sleep(0)
        watch.hear(HONEST, Pruned(pruned))
        await until(lambda: watch.problem)
        running.cancel()
    return watch.problem


async def test_a_snapshot_comes_from_who_has_a_genuine_one_and_the_chain_goes_on_from_it(
    behind: Behind, newer: SnapshotLab, caplog: pytest.LogCaptureFixture
):
    data = newer.newest_snapshot()
    forged = data[:-1] + bytes([data[-1] ^ 1])
    network = Network(a=serve(forged), b=serve(data), c=serve_folder(behind.home.path))
    watch = behind.catching_up(network)
    snapshot = await catch_up(watch)
    assert encode(snapshot) == data
    assert network.asked == [LIAR, HONEST]
    lines = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(lines) == 2
    assert f"no longer keep block {BEHIND + 1}" in lines[0]
    assert f"peer {LIAR.hex()[:16]} is not used" in lines[1]
    assert watch.problem
    behind.node.close()
    install_snapshot(behind.home.chain, behind.lab.genesis, snapshot)
    behind.node = behind.lab.open_keeping()
    assert behind.node.status().height == NEWER


async def test_an_older_snapshot_is_not_even_fetched(behind: Behind, newer: SnapshotLab):
    old = serve(b"x" * 10, epoch=0)
    network = Network(a=old, b=serve(newer.newest_snapshot()))
    await catch_up(behind.catching_up(network))
    assert network.asked == [LIAR, HONEST]


async def test_a_chain_that_parts_from_ours_is_refused_whatever_the_checkpoint(
    behind: Behind, newer: SnapshotLab, tmp_path: Path
):
    (tmp_path / "other").mkdir()
    other = SnapshotLab(tmp_path / "other")
    node = other.open_keeping()
    try:
        for nonce in range(NEWER):
            node.submit(other.transfer("bob", nonce))
            await other.grow(node, nonce, 1)
    finally:
        node.close()
    ledger = LedgerSection(checkpoint=str(other.checkpoint()))
    network = Network(a=serve(other.newest_snapshot()))
    watch = behind.catching_up(network, ledger)
    start = watch._choose_start(watch._load_known())
    assert not isinstance(start, Rejected)
    refused = watch._judge(other.newest_snapshot())
    assert isinstance(refused, Rejected)
    assert "not the one that is final here" in refused.detail


async def test_a_block_that_comes_ends_the_asking(behind: Behind):
    """Nobody has a snapshot; then a block comes."""
    network = Network(b=serve(b""))
    watch = behind.catching_up(network)
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        running = group.create_task(watch.run())
        await asyncio.sleep(0)
        watch.hear(HONEST, Pruned(BEHIND + 1))
        await until(lambda: network.asked)
        assert watch.problem
        await behind.lab.grow(behind.node, BEHIND, 1)
        await until(lambda: not watch.problem)
        assert watch._fetch is None
        running.cancel()


async def test_who_was_away_for_too_long_says_what_it_needs_and_asks_nobody(behind: Behind):
    network = Network(b=serve(b""))
    late = behind.time_ms + TRUST_PERIOD_MS + DAY_MS
    problem = await problem_of(behind.catching_up(network, now_ms=late))
    assert f"no longer keep block {BEHIND + 1}" in problem
    assert "set a newer ledger.checkpoint" in problem
    assert not network.asked


async def test_a_node_that_fills_an_archive_waits_for_the_blocks(behind: Behind, tmp_path: Path):
    file = tmp_path / "archive-url"
    file.write_text("postgresql://archive@127.0.0.1/chain\n")
    network = Network(b=serve(b""))
    ledger = LedgerSection(archive_url_file=str(file))
    problem = await problem_of(behind.catching_up(network, ledger))
    assert "its archive needs them all" in problem
    assert not network.asked
