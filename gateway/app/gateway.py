"""The gateway process, put together: broker, connectors, store, anchoring, discovery.

It stops as a whole when a part fails for good: the supervisor starts it anew and what is on disk
decides.
"""

import asyncio
import importlib.metadata
import logging
from collections.abc import Coroutine
from typing import Any

import msgspec

from gateway.app.anchoring import AnchoringService
from gateway.app.audit_anchor import AuditAnchor
from gateway.app.bridge import BridgeRequests
from gateway.app.devices import DeviceSet
from gateway.app.disk import describe_low_disk
from gateway.app.external_broker import ExternalBroker
from gateway.app.identity_keeper import IdentityKeeper
from gateway.app.ledger_link import LedgerLink
from gateway.app.metering import MeteringBook
from gateway.app.metering_witness import SessionWitness
from gateway.app.metrics import MetricsServer
from gateway.app.own_broker import OwnBroker
from gateway.app.publishing import ReadingPublisher
from gateway.app.sessions import SessionRecorder
from gateway.app.transactions import TransactionAuthor
from gateway.app.wallet_courier import WalletCourier
from gateway.app.wallet_file import WalletFile
from gateway.app.witness import Witness
from gateway.clock import Clock, ScaledClock, SystemClock
from gateway.discovery.announcement import Announcement
from gateway.discovery.mdns import announce
from gateway.errors import AgentError, GatewayError, MessagingError
from gateway.health import Health
from gateway.model import topics
from gateway.model.ledger_api import StatusReply
from gateway.pipeline.batch import BatchPolicy
from gateway.ports import GatewayBroker
from gateway.readings.store import ReadingsStore
from gateway.sd_notify import Notifier, run_watchdog
from gateway.settings import Home, Settings, load_settings, parse_listen
from gateway.smart_agent.client import AgentClient
from gateway.smart_agent.keys import AgentKeys
from gateway.smart_agent.metering_client import MeteringClient
from gateway.smart_agent.waiting import wait_for_agent

logger = logging.getLogger(__name__)

HEALTH_INTERVAL_S = 1.0
CHAIN_INTERVAL_S = 30.0  # its problems last for minutes
ANNOUNCE_INTERVAL_S = 60.0  # everybody on the network hears an update
PRUNE_INTERVAL_S = 600.0
STALLED_S = 30.0  # an event loop that did not come round for so long is not healthy


def build_clock(settings: Settings) -> Clock:
    """Return real time, or the simulated time that the settings ask for."""
    simulation = settings.simulation
    if simulation is None:
        return SystemClock()
    return ScaledClock(simulation.start_ms, simulation.factor, simulation.origin_ms)


async def run_gateway(home: Home, notifier: Notifier, stop: asyncio.Event) -> None:
    """Run until `stop` is set; a part that fails for good ends all with a `GatewayError`."""
    settings = load_settings(home)
    agent = AgentClient(home.agent_socket)
    keys = await wait_for_agent(agent, notifier.status, stop)
    if keys is None:
        return
    clock = build_clock(settings)
    store = ReadingsStore.open(home.readings, clock, keys.node)
    try:
        await _Gateway(home, settings, clock, store, agent, keys).run(notifier, stop)
    finally:
        store.close()
        agent.close()


class _Gateway:
    """The parts of a running gateway and the tasks that move them."""

    def __init__(  # noqa: PLR0917 - the composition root names every part once
        self,
        home: Home,
        settings: Settings,
        clock: Clock,
        store: ReadingsStore,
        agent: AgentClient,
        keys: AgentKeys,
    ) -> None:
        if keys.chain_id is None:
            raise AgentError("the SmartAgent is bound to no chain: run `smartshare init` again")
        self._home = home
        self._settings = settings
        self._store = store
        self._keys = keys
        self._chain_id = keys.chain_id
        self._publisher = ReadingPublisher(store, settings.name)
        self._devices = DeviceSet(home, settings.name, store, self._publisher, clock)
        self._broker: GatewayBroker = (
            OwnBroker(home, settings, self._devices, store)
            if settings.broker.url is None
            else ExternalBroker(home, settings, self._devices, store)
        )
        self._ledger = LedgerLink(self._broker, settings.name)
        author = TransactionAuthor(store, agent, self._ledger, keys.chain_id, keys.metering)
        book = MeteringBook(home, MeteringClient(agent), keys)
        self._witness = SessionWitness(book, self._ledger)
        self._recorder = SessionRecorder(store, author, self._ledger, clock, self._witness)
        policy = BatchPolicy(settings.anchoring.readings_max, settings.anchoring.age_max_ms)
        self._anchoring = AnchoringService(
            store,
            author,
            self._ledger,
            self._recorder,
            policy=policy,
            clock=clock,
            gate=IdentityKeeper(store, author, self._ledger, agent, keys, SystemClock()),
            errands=(
                AuditAnchor(author, self._ledger, agent, keys.node, SystemClock()),
                Witness(author, self._ledger, SystemClock()),
            ),
        )
        self._courier = WalletCourier(WalletFile(home), self._ledger, keys.wallet, SystemClock())
        self._clock = clock
        self._version = importlib.metadata.version("smartshare-gateway")  # read from disk: once
        self._beat_s = 0.0
        self._readings_per_second = 0
        self._chain_problem = ""

    async def run(self, notifier: Notifier, stop: asyncio.Event) -> None:
        """Start everything, serve until `stop` is set, stop everything."""
        self._devices.load()
        try:
            await self._broker.start()
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(work)
                    for work in (
                        *self._metrics(),
                        self._store.watch(),
                        self._broker.run(),
                        self._devices.run(self._recorder),
                        self._publisher.run(self._broker),
                        self._anchoring.run(),
                        self._courier.run(),
                        self._tell_health(),
                        self._watch_chain(),
                        self._prune(),
                        self._announce(),
                        run_watchdog(notifier, self._is_alive),
                    )
                ]
                notifier.ready(f"MQTT on {self._broker.place}")
                logger.info("gateway %s: MQTT on %s", self._settings.name, self._broker.place)
                await stop.wait()
                notifier.stopping()
                for task in tasks:
                    task.cancel()
        finally:
            await self._broker.stop()

    def _metrics(self) -> list[Coroutine[Any, Any, None]]:
        listen = self._settings.metrics.listen
        if not listen:
            return []
        return [MetricsServer(parse_listen(listen)).run(self._health, self._ledger)]

    def _is_alive(self) -> bool:
        return asyncio.get_running_loop().time() - self._beat_s < STALLED_S

    async def _tell_health(self) -> None:
        previous = 0
        topic = topics.bridge(self._settings.name, "health")
        BridgeRequests(self._broker, self._settings.name, {"health": self._health})
        while True:
            self._beat_s = asyncio.get_running_loop().time()
            self._readings_per_second = self._publisher.stored - previous
            previous = self._publisher.stored
            self._broker.publish(topic, msgspec.json.encode(self._health()), retain=True)
            await asyncio.sleep(HEALTH_INTERVAL_S)

    def _health(self) -> Health:
        return Health(
            name=self._settings.name,
            version=self._version,
            node=self._keys.node.hex(),
            readings=self._publisher.stored,
            readings_per_second=self._readings_per_second,
            rejected=self._publisher.rejected + self._broker.rejected,
            anchored=self._anchoring.anchored,
            pending_transactions=self._store.pending_count(),
            connections=self._broker.connections,
            devices=self._publisher.availability,
            overload=self._broker.overload,
            problems=tuple(
                filter(
                    None,
                    (
                        self._devices.problem,
                        self._store.problem,
                        describe_low_disk(self._home.path),
                        *self._broker.problems,
                        self._anchoring.problem,
                        self._courier.problem,
                        self._witness.problem,
                        self._chain_problem,
                    ),
                )
            ),
        )

    async def _watch_chain(self) -> None:
        """Hear what keeps the chain from going on; anchoring tells where the ledger is away."""
        while True:
            try:
                status = await self._ledger.call("status", {}, StatusReply)
                self._chain_problem = status.problem
            except MessagingError:
                self._chain_problem = ""
            await asyncio.sleep(CHAIN_INTERVAL_S)

    async def _prune(self) -> None:
        """Keep the store within its limits; without a trusted clock, within its bytes alone."""
        while True:
            await asyncio.sleep(PRUNE_INTERVAL_S)
            await self._store.prune(self._clock.now_ms() if self._clock.is_synchronised() else None)

    async def _announce(self) -> None:
        """Announce by mDNS; without a usable network the gateway works unannounced and tries again."""
        discovery, ledger = self._settings.discovery, self._settings.ledger
        if not discovery.enabled:
            return
        announcement = Announcement(
            name=self._settings.name,
            node_id=self._keys.node,
            chain_id=self._chain_id,
            role="light" if ledger.role == "light" else "agent",
            version=self._version,
            mqtt_port=self._broker.port,
            peer_port=parse_listen(ledger.listen)[1] if ledger.listen else 0,
        )
        is_told = False
        while True:
            try:
                async with announce(announcement, discovery.interfaces or None) as announcer:
                    while True:
                        await announcer.update_height(await self._ask_height())
                        await asyncio.sleep(ANNOUNCE_INTERVAL_S)
            except GatewayError as error:
                if not is_told:
                    logger.warning("not announced by mDNS yet: %s", error)
                    is_told = True
                await asyncio.sleep(ANNOUNCE_INTERVAL_S)

    async def _ask_height(self) -> int:
        try:
            return (await self._ledger.call("status", {}, StatusReply)).height
        except MessagingError:
            return 0  # the ledger is starting or away: the height is a hint, not a promise
