"""The first start of a node that was given a checkpoint: a snapshot from its peers, before it has a chain."""

import asyncio
import logging
from dataclasses import dataclass

import msgspec

from gateway.clock import Clock
from gateway.ledger_host.checkpoint import find_checkpoint
from gateway.ledger_host.genesis import GenesisFacts
from gateway.ledger_host.peers.hints import follow_hints
from gateway.ledger_host.peers.making import build_identity, build_network
from gateway.ledger_host.snapshot_fetch import SnapshotFetch
from gateway.sd_notify import Notifier, run_watchdog
from gateway.settings import Home, Settings
from gateway.smart_agent.client import AgentClient
from gateway.smart_agent.keys import AgentKeys
from ledger.identity.facts import Moment
from ledger.light import Checkpoint, Snapshot, verify_snapshot
from ledger.node.snapshots import install_snapshot
from ledger.types.genesis import Genesis
from ledger.types.genesis_file import genesis_chain_id

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SnapshotStart:
    """What it takes to meet peers without a chain."""

    home: Home
    settings: Settings
    genesis: Genesis
    keys: AgentKeys
    agent: AgentClient
    clock: Clock

    async def run(self, notifier: Notifier, stop: asyncio.Event) -> bool:
        """Make the chain from a snapshot where the settings ask for it and there is no chain.

        False where `stop` was set before. Raises `SettingsError` for a checkpoint that is none.
        """
        checkpoint = find_checkpoint(self.home, self.settings)
        if checkpoint is None or self.home.chain.exists():
            return True
        _log.info("asking peers for a snapshot that stands on checkpoint %s", checkpoint)
        notifier.ready(f"asking peers for a snapshot of checkpoint {checkpoint.epoch}")
        snapshot = await self._fetch(checkpoint, notifier, stop)
        if snapshot is None:
            return False
        await asyncio.to_thread(install_snapshot, self.home.chain, self.genesis, snapshot)
        return True

    async def _fetch(
        self, checkpoint: Checkpoint, notifier: Notifier, stop: asyncio.Event
    ) -> Snapshot | None:
        # Outbound only: nobody can use a node that has nothing yet.
        section = msgspec.structs.replace(self.settings.ledger, listen="")
        outbound = msgspec.structs.replace(self.settings, ledger=section)
        facts = GenesisFacts(self.genesis)
        identity = build_identity(
            self.home, self.genesis, self.keys, self.agent, facts=lambda: facts, now=self._moment
        )
        network = build_network(self.home, outbound, identity, self.clock)
        agents = tuple(one.node for one in self.genesis.agents)
        chain_id = genesis_chain_id(self.genesis)
        fetch = SnapshotFetch(network, lambda data: verify_snapshot(data, self.genesis, checkpoint))
        hints = follow_hints(self.settings.discovery, chain_id, lambda: agents, network.learn)
        snapshot = None
        async with asyncio.TaskGroup() as group:
            fetching, stopping, *beside = (
                group.create_task(fetch.run(agents)),
                group.create_task(stop.wait()),
                group.create_task(run_watchdog(notifier, lambda: True)),
                group.create_task(hints),
            )
            await asyncio.wait({fetching, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if fetching.done() and fetching.exception() is None:
                snapshot = fetching.result()
            for task in (fetching, stopping, *beside):
                task.cancel()
        return snapshot

    def _moment(self) -> Moment:
        if self.clock.is_synchronised():
            return Moment(self.clock.now_ms(), is_trusted=True)
        return Moment(self.genesis.time_ms, is_trusted=False)
