"""The ledger process of a light node, put together: peers, headers, requests over MQTT. No chain, no workers."""

import asyncio
import dataclasses
import logging
from dataclasses import dataclass

import msgspec

from gateway.clock import Clock, SystemClock
from gateway.errors import SettingsError
from gateway.ledger_host.checkpoint import find_checkpoint
from gateway.ledger_host.genesis import GenesisFacts, load_genesis
from gateway.ledger_host.light.asking import PeerAsker
from gateway.ledger_host.light.chain import LightChain
from gateway.ledger_host.light.handlers import LightHandlers
from gateway.ledger_host.light.keeping import open_follower
from gateway.ledger_host.light.state import LoopCaller
from gateway.ledger_host.peers.hints import follow_hints
from gateway.ledger_host.peers.making import build_identity, build_network
from gateway.ledger_host.peers.seams import NodeSide, PeerNetwork
from gateway.ledger_host.peers.telling import build_peers_reply
from gateway.messaging.server import RpcServer
from gateway.messaging.service_login import LEDGER, service_login
from gateway.model import topics
from gateway.model.ledger_api import StatusReply
from gateway.sd_notify import Notifier, run_watchdog
from gateway.settings import Home, Settings, load_settings
from gateway.smart_agent.client import AgentClient
from gateway.smart_agent.keys import AgentKeys
from gateway.smart_agent.waiting import wait_for_agent
from ledger.identity.facts import Moment
from ledger.identity.grant import Role
from ledger.light.follower import VerifiedHeader
from ledger.light.snapshot import Checkpoint
from ledger.storage.trail import TrailStore
from ledger.types.genesis import Genesis
from ledger.types.genesis_file import genesis_chain_id

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LightStart:
    """What a light node is made of."""

    home: Home
    settings: Settings
    genesis: Genesis
    keys: AgentKeys
    agent: AgentClient
    clock: Clock


async def run_light(home: Home, notifier: Notifier, stop: asyncio.Event) -> None:
    """Run until `stop` is set. Raises `SettingsError`, `StorageError`."""
    settings, genesis = load_settings(home), load_genesis(home)
    agent = AgentClient(home.agent_socket)
    keys = await wait_for_agent(agent, notifier.status, stop)
    if keys is None:
        return
    start = LightStart(home, settings, genesis, keys, agent, SystemClock())
    check_settings(start)
    checkpoint = find_checkpoint(home, settings)
    store = TrailStore.create_or_open(home.trail, genesis_chain_id(genesis))
    try:
        await _LightService(start, store, checkpoint).run(notifier, stop)
    finally:
        store.close()
        agent.close()


def check_settings(start: LightStart) -> None:
    """Raise `SettingsError` for settings that only a full node can follow."""
    section, where = start.settings.ledger, start.home.settings
    wrong = {
        "listen": section.listen,
        "cluster_url": section.cluster_url,
        "keep_blocks": section.keep_blocks,
        "archive_url_file": section.archive_url_file,
    }
    for name, value in wrong.items():
        if value:
            raise SettingsError(
                f'{where}: ledger.{name} needs a full node: delete the line, or write role = "full"'
            )
    if any(one.node == start.keys.node for one in start.genesis.agents):
        raise SettingsError(
            f"{where}: this gateway is an agent of the network, which a light node cannot be: write"
            ' role = "full"'
        )


class _LightService:
    """A running light node, its peers, its requests and its announcements."""

    def __init__(self, start: LightStart, store: TrailStore, checkpoint: Checkpoint | None) -> None:
        self._start = start
        self._clock = start.clock
        facts = GenesisFacts(start.genesis)
        identity = build_identity(
            start.home,
            start.genesis,
            start.keys,
            start.agent,
            facts=lambda: facts,
            now=self._moment,
        )
        light = dataclasses.replace(identity, role=Role.LIGHT)
        self._network: PeerNetwork = build_network(start.home, start.settings, light, start.clock)
        self._asker = PeerAsker(self._network, start.clock)
        self._chain = LightChain(
            open_follower(start.genesis, checkpoint, store),
            store,
            self._asker,
            start.clock,
            watch_interval_s=start.genesis.slot_ms / 1_000,
            on_header=self._announce,
        )
        self._topic = topics.ledger_block(start.settings.name)
        handlers = LightHandlers(
            self._chain,
            LoopCaller(asyncio.get_running_loop()),
            peers=lambda: build_peers_reply(self._network),
            status=self._status,
        )
        login = service_login(start.home, start.settings, LEDGER, "ledger")
        self._server = RpcServer(login, "ledger", handlers.table())

    async def run(self, notifier: Notifier, stop: asyncio.Event) -> None:
        """Serve until `stop` is set."""
        chain_id = self._chain.follower.chain_id
        side = NodeSide(
            pending=self._chain.pool.oldest,
            agents=lambda: self._chain.follower.agents,
            light=self._asker.hear,
        )
        hints = follow_hints(
            self._start.settings.discovery,
            chain_id,
            lambda: self._chain.follower.agents,
            self._network.learn,
        )
        self._server.start()
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(work)
                    for work in (
                        self._network.run(side),
                        self._chain.run(),
                        hints,
                        run_watchdog(notifier, lambda: self._server.is_alive),
                    )
                ]
                newest = self._chain.follower.newest
                height = 0 if newest is None else newest.header.height
                notifier.ready(f"follows headers from block {height}")
                _log.info("ledger follows headers only (role light), from block %d", height)
                await stop.wait()
                notifier.stopping()
                for task in tasks:
                    task.cancel()
        finally:
            await asyncio.to_thread(self._server.stop)

    def _status(self) -> StatusReply:
        chain, genesis = self._chain, self._start.genesis
        newest, follower = chain.follower.newest, chain.follower
        height = 0 if newest is None else newest.header.height
        is_synchronised = self._clock.is_synchronised()
        return StatusReply(
            chain_id=follower.chain_id.hex(),
            height=height,
            hash=follower.chain_id.hex() if newest is None else newest.hash.hex(),
            time_ms=genesis.time_ms if newest is None else newest.header.time_ms,
            slot_ms=genesis.slot_ms,
            epoch=follower.epoch,
            slot=0 if newest is None else newest.header.slot,
            agents=len(follower.agents),
            pending=len(chain.pool),
            state=f"light: {chain.describe()}",
            problem=follower.fork or chain.problem,
            clock="synchronised" if is_synchronised else "unsynchronised",
            finality_ms=0,
            pruned_height=height,  # it keeps no block at all
        )

    def _announce(self, newest: VerifiedHeader) -> None:
        message = {
            "height": newest.header.height,
            "hash": newest.hash.hex(),
            "time_ms": newest.header.time_ms,
        }
        self._server.publish_newest(self._topic, msgspec.json.encode(message))

    def _moment(self) -> Moment:
        if self._clock.is_synchronised():
            return Moment(self._clock.now_ms(), is_trusted=True)
        newest = self._chain.follower.newest
        time_ms = self._start.genesis.time_ms if newest is None else newest.header.time_ms
        return Moment(time_ms, is_trusted=False)
