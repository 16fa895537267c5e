"""The ledger process, put together: node, contract workers, SmartAgent, requests over MQTT."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import msgspec

from edge_contracts.executor import WorkerExecutor
from gateway.clock import Clock, SystemClock
from gateway.errors import SettingsError
from gateway.ledger_host.archiving import Archiver, find_archive_url
from gateway.ledger_host.catching_up import CatchingUp
from gateway.ledger_host.genesis import load_genesis
from gateway.ledger_host.handlers import LedgerHandlers
from gateway.ledger_host.peers.desk import PeerDesk
from gateway.ledger_host.signer_reports import TipReports, report_interval_s
from gateway.ledger_host.snapshot_start import SnapshotStart
from gateway.ledger_host.wallet_history import WalletHistory
from gateway.messaging.server import RpcServer
from gateway.messaging.service_login import LEDGER, service_login
from gateway.model import topics
from gateway.sd_notify import Notifier, run_watchdog
from gateway.settings import Home, Settings, load_settings
from gateway.smart_agent.client import AgentClient, AgentOnionKeeper, AgentVoteSigner
from gateway.smart_agent.keys import AgentKeys
from gateway.smart_agent.waiting import wait_for_agent
from ledger.errors import StorageError
from ledger.light import Snapshot
from ledger.node.node import LedgerNode
from ledger.node.snapshots import install_snapshot
from ledger.node.views import FinalBlock
from ledger.ports import ContractExecutor
from ledger.types.genesis import Genesis

# A week at a block every 3 s: as long as readings wait for whoever makes receipts of them.
KEEP_BLOCKS_MIN = 201_600

T = TypeVar("T")

logger = logging.getLogger(__name__)


async def run_ledger(home: Home, notifier: Notifier, stop: asyncio.Event) -> None:
    """Run until `stop` is set; raises `LedgerError` when nothing safe is left to do."""
    settings = load_settings(home)
    genesis = load_genesis(home)
    agent = AgentClient(home.agent_socket)
    keys = await wait_for_agent(agent, notifier.status, stop)
    if keys is None:
        return
    clock = SystemClock()
    start = SnapshotStart(home, settings, genesis, keys, agent, clock)
    if not await start.run(notifier, stop):
        return
    # Queries have a worker of their own: they never hold up a block.
    with WorkerExecutor(clock) as executor, WorkerExecutor(clock) as query_executor:
        parts = _Parts(home, settings, genesis, keys, agent, clock, executor, query_executor)
        try:
            while (snapshot := await _run_node(parts, notifier, stop)) is not None:
                await _go_on_from(snapshot, parts, notifier)
        finally:
            agent.close()


@dataclass(frozen=True, slots=True)
class _Parts:
    """What outlives a node that is opened again."""

    home: Home
    settings: Settings
    genesis: Genesis
    keys: AgentKeys
    agent: AgentClient
    clock: Clock
    executor: ContractExecutor
    query_executor: ContractExecutor


async def _run_node(parts: _Parts, notifier: Notifier, stop: asyncio.Event) -> Snapshot | None:
    """Run a node until `stop` is set; or return the snapshot that it cannot go on without."""
    home, settings, agent = parts.home, parts.settings, parts.agent
    desk = PeerDesk(home, settings, parts.genesis, parts.keys, agent, parts.clock)
    node = await _off_the_loop(
        notifier,
        lambda: LedgerNode.open(
            home.chain,
            parts.genesis,
            parts.executor,
            parts.clock,
            AgentVoteSigner(agent),
            around=desk.surroundings(),
            query_executor=parts.query_executor,
            onion=AgentOnionKeeper(agent),
            snapshots=home.snapshots,
            keep_blocks=find_keep_blocks(settings),
        ),
    )
    try:
        history = WalletHistory(home, parts.keys.wallet)
        catching_up = CatchingUp(home, settings, parts.genesis, parts.clock, desk.network, node)
        service = _Service(parts, node, desk, history, catching_up)
        return await service.run(notifier, stop)
    finally:
        node.close()


async def _go_on_from(snapshot: Snapshot, parts: _Parts, notifier: Notifier) -> None:
    """Put a proven snapshot in the chain's place; the chain stays as it is where that fails."""
    logger.warning("the chain goes on from a snapshot: its older blocks are no longer kept here")
    notifier.status("goes on from a snapshot")
    install = partial(install_snapshot, parts.home.chain, parts.genesis, snapshot)
    try:
        await _off_the_loop(notifier, install)
    except StorageError as error:
        logger.warning("the snapshot is not used: %s", error)


async def _off_the_loop(notifier: Notifier, job: Callable[[], T]) -> T:
    """Return what a long job returns; the service manager hears meanwhile that we live."""
    async with asyncio.TaskGroup() as group:
        watchdog = group.create_task(run_watchdog(notifier, lambda: True))
        done = asyncio.get_running_loop().run_in_executor(None, job)
        await asyncio.wait([done])
        watchdog.cancel()
    return done.result()


def find_keep_blocks(settings: Settings) -> int:
    """Return how many blocks to keep, 0 for all; raises `SettingsError` for too few."""
    wanted = settings.ledger.keep_blocks
    if 0 < wanted < KEEP_BLOCKS_MIN:
        raise SettingsError(
            f"ledger.keep_blocks = {wanted}: write 0 for all, or at least {KEEP_BLOCKS_MIN}, a week of blocks"
        )
    return wanted


class _Service:
    """A running node, its peers, its requests and its announcements."""

    def __init__(
        self,
        parts: _Parts,
        node: LedgerNode,
        desk: PeerDesk,
        history: WalletHistory,
        catching_up: CatchingUp,
    ) -> None:
        home, settings = parts.home, parts.settings
        self._node = node
        self._catching_up = catching_up
        desk.on_snapshot = catching_up.hear
        self._history = history
        self._desk = desk
        url = find_archive_url(settings)
        chain_id = node.status().chain_id
        self._archivers = () if url is None else (Archiver(home.chain, chain_id, url),)
        interval_s = report_interval_s(node.status().slot_ms)
        self._reports = TipReports(parts.agent, lambda: desk.tip(node), interval_s)
        self._topic = topics.ledger_block(settings.name)
        self._handlers = LedgerHandlers(node, asyncio.get_running_loop(), desk)
        self._handlers.find_problem = lambda: catching_up.problem
        login = service_login(home, settings, LEDGER, "ledger")
        self._server = RpcServer(login, "ledger", self._handlers.table())

    async def run(self, notifier: Notifier, stop: asyncio.Event) -> Snapshot | None:
        self._server.start()
        try:
            await self._reports.report()  # before the first vote is asked for
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(work)
                    for work in (
                        self._node.run(self._announce),
                        self._desk.run(self._node),
                        run_watchdog(notifier, lambda: self._server.is_alive),
                        self._reports.run(),
                        self._history.run(),
                        *(archiver.run() for archiver in self._archivers),
                    )
                ]
                height = self._node.status().height
                notifier.ready(f"at block {height}")
                logger.info("ledger runs from block %d", height)
                catching_up = group.create_task(self._catching_up.run())
                stopping = group.create_task(stop.wait())
                await asyncio.wait({catching_up, stopping}, return_when=asyncio.FIRST_COMPLETED)
                for task in (*tasks, catching_up, stopping):
                    task.cancel()
            if stop.is_set():
                notifier.stopping()
                return None
            return catching_up.result()
        finally:
            await asyncio.to_thread(self._server.stop)

    def _announce(self, block: FinalBlock) -> None:
        self._history.block_final()
        self._handlers.finality_ms = block.finality_ms
        message = {
            "height": block.header.height,
            "hash": block.hash.hex(),
            "time_ms": block.header.time_ms,
            "transactions": len(block.transactions),
        }
        self._server.publish_newest(self._topic, msgspec.json.encode(message))
