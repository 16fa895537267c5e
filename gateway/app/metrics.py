"""Metrics for Prometheus over HTTP, where the settings ask for it: the numbers of `status`, and no more.

The exporter's threads only read the newest snapshot, which the gateway's loop replaces as a whole. The only module
that knows prometheus_client.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.app.ledger_link import LedgerLink
from gateway.errors import MessagingError, SettingsError
from gateway.health import Health, Overload
from gateway.model.ledger_api import PeersReply, StatusReply

REFRESH_S = 5.0
PREFIX = "smartshare"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is exported; the ledger's part is None while it does not answer."""

    health: Health
    chain: StatusReply | None = None
    peers: PeersReply | None = None


class MetricsServer(Collector):
    """Serves `GET /metrics`. Nothing secret is in it; who may reach the address is the settings' affair."""

    def __init__(self, listen: tuple[str, int]) -> None:
        self._listen = listen
        self._snapshot: Snapshot | None = None

    async def run(self, health: Callable[[], Health], ledger: LedgerLink) -> None:
        """Serve until cancelled; raises `SettingsError` where it cannot listen."""
        registry = CollectorRegistry()
        self._snapshot = Snapshot(health())
        registry.register(self)
        host, port = self._listen
        try:
            server, thread = start_http_server(port, host, registry)
        except OSError as error:
            raise SettingsError(
                f"metrics.listen: cannot listen on {host}:{port}: {error.strerror}"
            ) from None
        self.port = int(server.server_port)
        try:
            while True:
                self._snapshot = await _take_snapshot(health, ledger)
                await asyncio.sleep(REFRESH_S)
        finally:
            await asyncio.to_thread(server.shutdown)
            server.server_close()
            await asyncio.to_thread(thread.join)

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of the newest snapshot; called on the exporter's threads."""
        snapshot = self._snapshot
        if snapshot is not None:
            yield from _describe(snapshot)


async def _take_snapshot(health: Callable[[], Health], ledger: LedgerLink) -> Snapshot:
    try:
        chain = await ledger.call("status", {}, StatusReply)
        peers = await ledger.call("peers", {}, PeersReply)
    except MessagingError:
        return Snapshot(health())
    return Snapshot(health(), chain, peers)


def _describe(snapshot: Snapshot) -> Iterator[Metric]:
    health = snapshot.health
    yield _gauge("problems", "Things that need somebody's attention", len(health.problems))
    yield _counter("readings", "Readings stored since the start", health.readings)
    yield _counter("rejected_messages", "Messages refused since the start", health.rejected)
    yield _counter("anchored_readings", "Readings anchored since the start", health.anchored)
    yield _gauge(
        "pending_transactions", "Own transactions that are not final", health.pending_transactions
    )
    yield _gauge("mqtt_connections", "Clients of the broker", health.connections)
    yield from _describe_overload(health.overload)
    devices = GaugeMetricFamily(
        f"{PREFIX}_device_online", "Whether a device is heard", labels=["device"]
    )
    for name, availability in health.devices.items():
        devices.add_metric([name], float(availability == "online"))
    yield devices
    yield _gauge("ledger_up", "Whether the ledger answers", int(snapshot.chain is not None))
    if snapshot.chain is not None:
        yield from _describe_chain(snapshot.chain)
    if snapshot.peers is not None:
        yield from _describe_peers(snapshot.peers)


def _describe_overload(overload: Overload) -> Iterator[Metric]:
    yield _counter(
        "mqtt_refused_connections",
        "Connections refused since the start",
        overload.refused_connections,
    )
    yield _counter(
        "mqtt_dropped_messages", "Messages dropped by a limit since the start", overload.dropped
    )
    yield _counter(
        "mqtt_cut_off_clients", "Clients cut off because they did not read", overload.cut_off
    )
    yield _gauge("mqtt_waiting_connections", "Connections that wait for the disk", overload.waiting)
    yield _gauge(
        "mqtt_throttled_devices",
        "Devices slowed down in the last minute",
        overload.throttled_count,
    )
    throttled = GaugeMetricFamily(
        f"{PREFIX}_device_throttled", "A device slowed down in the last minute", labels=["device"]
    )
    for name in overload.throttled:
        throttled.add_metric([name], 1.0)
    yield throttled


def _describe_chain(chain: StatusReply) -> Iterator[Metric]:
    yield _gauge("chain_height", "Newest final block", chain.height)
    yield _gauge("chain_epoch", "Running epoch", chain.epoch)
    yield _gauge("chain_slot", "Running slot of the epoch", chain.slot)
    yield _gauge("chain_agents", "Agents of the running epoch", chain.agents)
    yield _gauge("mempool_transactions", "Transactions that wait", chain.pending)
    yield _gauge(
        "finality_seconds",
        "From having the newest block to its finality",
        chain.finality_ms / 1_000,
    )
    yield _gauge("chain_time_seconds", "Unix time of the newest final block", chain.time_ms / 1_000)


def _describe_peers(peers: PeersReply) -> Iterator[Metric]:
    connected = sum(peer.direction != "none" for peer in peers.peers)
    yield _gauge("peers_connected", "Other nodes that can be reached", connected)
    yield _gauge("peers_missing", "Other nodes that cannot", len(peers.peers) - connected)
    yield _counter("peer_dropped_messages", "Peers' messages not looked at", peers.dropped)
    yield _counter("peer_received_bytes", "Bytes heard from peers", peers.heard_bytes)
    yield _counter("peer_sent_bytes", "Bytes said to peers", peers.said_bytes)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{PREFIX}_{name}", text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"{PREFIX}_{name}", text, value=value)
