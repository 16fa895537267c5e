"""Four agents as real processes drop their old blocks; one was away for so long that nobody has its next block.

It catches up by a snapshot without an operator, past a peer that serves false ones, whenever it is killed
meanwhile. (Whether it has its seat still depends on how long it was away; `test_four_nodes` shows that it votes.)
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from gateway.app.founding import NetworkOptions, found_network, make_card, read_card
from gateway.app.provision import Membership, initialise
from gateway.clock import SystemClock
from gateway.ledger_host.peers.addresses import format_peer
from gateway.settings import Home, write_atomic
from gateway.smart_agent.guard import read_guard_file
from gateway.smart_agent.providers.registry import DEFAULT_URI
from ledger.codec.text import parse_address
from ledger.errors import StorageError
from ledger.network.wire import PeerAddress
from ledger.node.snapshots import list_snapshots
from ledger.storage.reader import ChainReader
from ledger.types.genesis import Genesis
from tests.support.node import Process, find_free_port
from tests.support.snapshot_peers import number_below, serve_bytes, serving

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(400)]

LEDGER = str(Path(__file__).with_name("small_limits.py"))
PATIENCE_S = 150
EPOCH_BLOCKS, KEEP_BLOCKS = 4, 6
SLOT_MS = 300
T = TypeVar("T")


class Place:
    """One agent: its home, and its two processes."""

    def __init__(self, home: Home, address: PeerAddress) -> None:
        self.home = home
        self.address = address
        self._log = home.path.with_suffix(".log")
        self._agent: Process | None = None
        self.ledger: Process | None = None

    def start_agent(self) -> None:
        arguments = ("-m", "gateway.cli.main", "agent", "--home", str(self.home.path))
        self._agent = Process(arguments, self._log)
        self._agent.wait_ready()

    def start_ledger(self) -> None:
        self.ledger = Process((LEDGER, "ledger", "--home", str(self.home.path)), self._log)
        self.ledger.wait_ready()

    def stop_ledger(self) -> None:
        assert self.ledger is not None
        assert self.ledger.stop() == 0
        self.ledger = None

    def kill_ledger(self) -> None:
        assert self.ledger is not None
        self.ledger.kill()
        self.ledger = None

    def close(self) -> None:
        for process in (self.ledger, self._agent):
            if process is not None:
                process.kill()

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    @property
    def height(self) -> int:
        return self._ask(lambda reader: 0 if (tip := reader.tip()) is None else tip.header.height)

    @property
    def pruned_height(self) -> int:
        return self._ask(lambda reader: reader.pruned_height())

    def hash_at(self, height: int) -> bytes | None:
        def find(reader: ChainReader) -> bytes | None:
            block = reader.block(height)
            return None if block is None else block.hash

        return self._ask(find)

    def _ask(self, question: Callable[[ChainReader], T]) -> T:
        reader = ChainReader.open(self.home.chain)
        try:
            return question(reader)
        finally:
            reader.close()


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with contextlib.suppress(StorageError):  # it is being opened, or replaced
                if is_so():
                    return
            await asyncio.sleep(0.1)


def found(folder: Path) -> tuple[Genesis, list[Place]]:
    homes = [Home(folder / name) for name in ("first", "second", "third", "away")]
    places = []
    for home in homes:
        node = parse_address(make_card(home, DEFAULT_URI).node)
        places.append(Place(home, PeerAddress(node, "127.0.0.1", find_free_port())))
    cards = [read_card(home.card) for home in homes]
    options = NetworkOptions(SLOT_MS, heartbeat_ms=SLOT_MS)
    genesis = found_network(cards, "forgetful", SystemClock(), options)
    return msgspec.structs.replace(genesis, epoch_blocks=EPOCH_BLOCKS), places


def join(place: Place, genesis: Genesis, others: Sequence[PeerAddress]) -> None:
    peers = tuple(format_peer(other) for other in others)
    listen = f"127.0.0.1:{place.address.port}"
    initialise(
        place.home,
        place.home.path.name,
        SystemClock(),
        listen=f"127.0.0.1:{find_free_port()}",
        membership=Membership(genesis=genesis, listen=listen, peers=peers),
    )
    text = place.home.settings.read_text().replace("enabled = true ", "enabled = false")
    keeping = text.replace("[ledger]\n", f"[ledger]\nkeep_blocks = {KEEP_BLOCKS}\ntls = false\n", 1)
    assert keeping != text
    write_atomic(place.home.settings, keeping.encode())


@contextlib.asynccontextmanager
async def network(folder: Path) -> AsyncIterator[list[Place]]:
    """Run all four; each also knows a peer that offers a file for a snapshot which is none."""
    genesis, places = await asyncio.to_thread(found, folder)
    number = number_below([place.address.node for place in places])
    async with serving(genesis, number, serve_bytes(b"x" * 1_000, epoch=10**6)) as liar:
        try:
            for place in places:
                others = [one.address for one in places if one is not place]
                await asyncio.to_thread(join, place, genesis, [liar, *others])
            for start in (Place.start_agent, Place.start_ledger):
                await asyncio.gather(*(asyncio.to_thread(start, place) for place in places))
            yield places
        finally:
            for place in places:
                await asyncio.to_thread(place.close)


async def test_one_that_was_away_for_too_long_comes_back_by_itself(tmp_path: Path):
    async with network(tmp_path) as places:
        *others, away = places
        await until(lambda: all(place.height > EPOCH_BLOCKS for place in places))
        await asyncio.to_thread(away.stop_ledger)
        left = away.height
        await until(lambda: all(place.pruned_height > left + 1 for place in others))
        await until(lambda: all(list_snapshots(place.home.snapshots) for place in others))
        guarded = read_guard_file(away.home.agent / "guard").record

        await asyncio.to_thread(away.start_ledger)
        for moment in ("is genuine", "goes on from a snapshot"):
            await until(lambda moment=moment: moment in away.log)  # type: ignore[misc]
            await asyncio.to_thread(away.kill_ledger)
            assert away.height >= left
            await asyncio.to_thread(away.start_ledger)
        await until(lambda: away.pruned_height > left)
        assert "asking them for a snapshot" in away.log
        assert "is not used: malformed" in away.log
        epochs = max(place.height for place in others) // EPOCH_BLOCKS
        goal = (epochs + 2) * EPOCH_BLOCKS  # an end block, which everybody keeps
        await until(lambda: all(place.height >= goal for place in places))
        (agreed,) = {place.hash_at(goal) for place in places}
        assert agreed is not None
        now = read_guard_file(away.home.agent / "guard").record
        assert (now.epoch, now.slot) >= (guarded.epoch, guarded.slot)
        logs = "".join(place.log for place in places)
        assert "contradict" not in logs
        assert "Traceback" not in logs
