"""The ledger process, put together: node, contract workers, SmartAgent, requests over MQTT."""

import asyncio
import logging

import msgspec

from edge_contracts.executor import WorkerExecutor
from gateway.clock import SystemClock
from gateway.errors import SettingsError
from gateway.ledger_host.archiving import Archiver, find_archive_url
from gateway.ledger_host.genesis import load_genesis
from gateway.ledger_host.handlers import LedgerHandlers
from gateway.ledger_host.light.service import LightStart, run_light
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
from gateway.smart_agent.waiting import wait_for_agent
from ledger.node.node import LedgerNode
from ledger.node.views import FinalBlock

# A week at a block every 3 s: as long as readings wait for whoever makes receipts of them.
KEEP_BLOCKS_MIN = 201_600

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
    if settings.ledger.role == "light":
        await run_light(LightStart(home, settings, genesis, keys, agent, clock), notifier, stop)
        return
    start = SnapshotStart(home, settings, genesis, keys, agent, clock)
    if not await start.run(notifier, stop):
        return
    desk = PeerDesk(home, settings, genesis, keys, agent, clock)
    # Queries have a worker of their own: they never hold up a block.
    with WorkerExecutor(clock) as executor, WorkerExecutor(clock) as query_executor:
        node = await asyncio.to_thread(
            LedgerNode.open,
            home.chain,
            genesis,
            executor,
            clock,
            AgentVoteSigner(agent),
            around=desk.surroundings(),
            query_executor=query_executor,
            onion=AgentOnionKeeper(agent),
            snapshots=home.snapshots,
            keep_blocks=find_keep_blocks(settings),
        )
        try:
            history = WalletHistory(home, keys.wallet)
            await _Service(home, settings, node, desk, agent, history).run(notifier, stop)
        finally:
            node.close()
            agent.close()


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

    def __init__(  # noqa: PLR0917 - the parts that it runs
        self,
        home: Home,
        settings: Settings,
        node: LedgerNode,
        desk: PeerDesk,
        agent: AgentClient,
        history: WalletHistory,
    ) -> None:
        self._node = node
        self._history = history
        self._desk = desk
        url = find_archive_url(settings)
        chain_id = node.status().chain_id
        self._archivers = () if url is None else (Archiver(home.chain, chain_id, url),)
        interval_s = report_interval_s(node.status().slot_ms)
        self._reports = TipReports(agent, lambda: desk.tip(node), interval_s)
        self._topic = topics.ledger_block(settings.name)
        self._handlers = LedgerHandlers(node, asyncio.get_running_loop(), desk)
        login = service_login(home, settings, LEDGER, "ledger")
        self._server = RpcServer(login, "ledger", self._handlers.table())

    async def run(self, notifier: Notifier, stop: asyncio.Event) -> None:
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
                await stop.wait()
                notifier.stopping()
                for task in tasks:
                    task.cancel()
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
