"""A cloned card among four agents: real SmartAgent processes, real ledger nodes, and a network that is a queue.

Whoever runs a copy of a node, the key gives no two votes that contradict each other.
"""

import asyncio
import shutil
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path
from random import Random

import msgspec
import pytest

from gateway.clock import SystemClock
from gateway.ledger_host.signer_reports import TipReports
from gateway.smart_agent.client import AgentVoteSigner
from gateway.smart_agent.provision import create_agent
from gateway.smart_agent.sealed_key import KdfLimits
from gateway.smart_agent.unlock import find_unlock
from gateway.smart_agent.vote_watch import TipReport
from ledger.crypto.domains import VoteKind
from ledger.node.node import LedgerNode, Surroundings
from ledger.node.views import FinalBlock
from ledger.types.block import Vote
from ledger.types.genesis import Genesis, GenesisAgent
from ledger.types.genesis_file import genesis_chain_id
from ledger.types.messages import Message
from tests.support.agent_process import AgentProcess, running_agent
from tests.support.ledger_lab import EchoExecutor, make_genesis

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(240)]

AGENTS = 4
SLOT_MS = 200
LATENCY_S = 0.005
REPORT_INTERVAL_S = 0.1
PATIENCE_S = 90

Released = tuple[VoteKind, int, int, bytes]


class Recorder(AgentVoteSigner):
    """Notes every vote whose signature left the SmartAgent."""

    def __init__(self, agent: AgentProcess, released: list[Released]) -> None:
        super().__init__(agent.client)
        self._released = released

    def sign_vote(self, kind: VoteKind, epoch: int, slot: int, block_hash: bytes) -> bytes:
        signature = super().sign_vote(kind, epoch, slot, block_hash)
        self._released.append((kind, epoch, slot, block_hash))
        return signature


class Network:
    """Delivers after a moment to everybody of that name: a copy hears what the original hears."""

    def __init__(self) -> None:
        self.seats: dict[bytes, list[Seat]] = defaultdict(list)
        self.random = Random(1)

    def send(self, source: "Seat", name: bytes, message: Message) -> None:
        asyncio.get_running_loop().call_later(LATENCY_S, self._deliver, source, name, message)

    def _deliver(self, source: "Seat", name: bytes, message: Message) -> None:
        for seat in self.seats[name]:
            if seat is not source and seat.node is not None and source.node is not None:
                seat.node.receive(source.name, message)

    def heights(self) -> list[int]:
        return [seat.height for seats in self.seats.values() for seat in seats if seat.node]


class Seat:
    """A ledger node with a SmartAgent of its own, and its way to the others."""

    def __init__(self, folder: Path, agent: AgentProcess, network: Network) -> None:
        self.agent, self.network = agent, network
        self.name = agent.client.describe().node
        self.released: list[Released] = []
        self.node: LedgerNode | None = None
        self.height = 0
        self._folder = folder
        self._reports: list[asyncio.Future[str]] = []
        network.seats[self.name].append(self)

    @property
    def standing(self) -> str:
        """Whether its SmartAgent votes, or why not."""
        return self.agent.client.report_tip(is_at_tip=True, agents=AGENTS)

    @asynccontextmanager
    async def running(self, genesis: Genesis) -> AsyncIterator[None]:
        self.agent.client.bind(genesis_chain_id(genesis), slot_ms=SLOT_MS)
        self.node = LedgerNode.open(
            self._folder / "chain.db",
            genesis,
            EchoExecutor(),
            SystemClock(),
            Recorder(self.agent, self.released),
            around=Surroundings(self.name, peers=self, on_own_vote=self._report),
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                reports = TipReports(self.agent.client, self._tip, REPORT_INTERVAL_S)
                works = (self.node.run(self._take), reports.run())
                running = [tasks.create_task(work) for work in works]
                yield
                for task in running:
                    task.cancel()
        finally:
            node, self.node = self.node, None
            node.close()

    def _take(self, block: FinalBlock) -> None:
        self.height = block.header.height

    def _tip(self) -> TipReport:
        return TipReport(self.height + 2 >= max(self.network.heights()), AGENTS)

    def _report(self, vote: Vote) -> None:
        loop, report = asyncio.get_running_loop(), self.agent.client.report_own_vote
        self._reports.append(loop.run_in_executor(None, report, vote))

    def send(self, peer: bytes, message: Message) -> None:
        self.network.send(self, peer, message)

    def broadcast(self, message: Message) -> None:
        for name in list(self.network.seats):
            self.send(name, message)

    def gossip(self, message: Message, peers: int) -> None:
        others = [name for name in self.network.seats if name != self.name]
        for name in self.network.random.sample(others, min(peers, len(others))):
            self.send(name, message)

    def blame(self, peer: bytes) -> None:
        raise AssertionError(f"{peer.hex()[:8]} sent a forged signature")

    def relay(self, _raw: bytes) -> None:
        return


class Town:
    """Four homes with a SmartAgent process each, one genesis, and room for copies."""

    def __init__(self, folder: Path, processes: ExitStack) -> None:
        self._folder, self._processes = folder, processes
        self.network = Network()
        for number in range(AGENTS):
            home = folder / str(number)
            create_agent(home / "agent", find_unlock(home / "agent"), KdfLimits(1, 8192))
        self.seats = [self.move_in(str(number)) for number in range(AGENTS)]
        keys = [seat.agent.client.describe() for seat in self.seats]
        self.genesis = msgspec.structs.replace(
            make_genesis(),
            slot_ms=SLOT_MS,
            heartbeat_ms=2 * SLOT_MS,
            time_ms=SystemClock().now_ms(),
            agents=tuple(
                GenesisAgent(one.node, one.consensus, one.metering, bond=10**10) for one in keys
            ),
        )

    def copy(self, name: str) -> None:
        """Copy the first home's SmartAgent as a cloned card holds it."""
        shutil.copytree(self._folder / "0" / "agent", self._folder / name / "agent")

    def move_in(self, name: str) -> Seat:
        home = self._folder / name
        agent = self._processes.enter_context(running_agent(home, home / "log"))
        return Seat(home, agent, self.network)

    def conflicts(self) -> list[tuple[Released, Released]]:
        """Of the first home's key, whoever used it."""
        votes = {vote for seat in self.network.seats[self.seats[0].name] for vote in seat.released}
        return [
            (one, other)
            for one in votes
            for other in votes
            if one[1:3] == other[1:3]
            and (
                (one[0] is other[0] and one[3] != other[3])
                or (one[0], other[0]) == (VoteKind.NULLIFY, VoteKind.FINALIZE)
            )
        ]


@pytest.fixture
def town(tmp_path: Path, monkeypatch) -> Iterator[Town]:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with ExitStack() as processes:
        yield Town(tmp_path, processes)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - it looks at many things
            await asyncio.sleep(0.02)


async def test_a_clone_that_boots_beside_the_original_hears_it_and_never_votes(town: Town):
    async with AsyncExitStack() as stack:
        for seat in town.seats:
            await stack.enter_async_context(seat.running(town.genesis))
        await until(lambda: min(seat.height for seat in town.seats) >= 4)

        town.copy("clone")
        clone = town.move_in("clone")
        await stack.enter_async_context(clone.running(town.genesis))
        before = len(town.seats[0].released)
        await until(lambda: "another SmartAgent votes with this key" in clone.standing)
        reached = town.seats[0].height
        await until(lambda: min(seat.height for seat in town.seats) >= reached + 8)

    assert clone.released == []
    assert len(town.seats[0].released) > before, "the original goes on"
    assert town.conflicts() == []


async def test_a_card_that_moved_votes_after_listening_and_contradicts_nothing(town: Town):
    """The original is off for good: the newest copy hears nothing strange and takes its place."""
    async with AsyncExitStack() as stack:
        for seat in town.seats[1:]:
            await stack.enter_async_context(seat.running(town.genesis))
        async with town.seats[0].running(town.genesis):
            await until(lambda: town.seats[0].height >= 4)
        town.seats[0].agent.kill()

        town.copy("moved")
        moved = town.move_in("moved")
        await stack.enter_async_context(moved.running(town.genesis))
        await until(lambda: len(moved.released) > 10)
        assert moved.standing == "voting"

    assert town.seats[0].released
    assert town.conflicts() == []


async def test_an_old_copy_that_starts_when_the_original_is_off_contradicts_nothing(town: Town):
    async with AsyncExitStack() as stack:
        for seat in town.seats[1:]:
            await stack.enter_async_context(seat.running(town.genesis))
        async with town.seats[0].running(town.genesis):
            await until(lambda: town.seats[0].height >= 3)
            town.copy("old")
            await until(lambda: town.seats[0].height >= 9)
        town.seats[0].agent.kill()

        old = town.move_in("old")
        await stack.enter_async_context(old.running(town.genesis))
        await until(lambda: old.released or "another SmartAgent" in old.standing)
        reached = town.seats[1].height
        await until(lambda: town.seats[1].height >= reached + 8)

    assert town.conflicts() == []
