"""Nodes find, prove and hear each other over real MQTT on loopback."""

import asyncio
import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from gateway.broker.broker import EmbeddedBroker
from gateway.broker.settings import BrokerSettings
from gateway.clock import SystemClock
from gateway.ledger_host.peers import network
from gateway.ledger_host.peers.cluster import ClusterNetwork
from gateway.ledger_host.peers.identity import NodeIdentity
from gateway.ledger_host.peers.listening import NoTelemetry
from gateway.ledger_host.peers.making import peer_settings
from gateway.ledger_host.peers.network import MqttPeerNetwork
from gateway.ledger_host.peers.seams import (
    ListenerCertificate,
    NodeSide,
    PeerNetwork,
    PeerSettings,
    Submitted,
)
from gateway.messaging.cluster_client import ClusterLogin
from gateway.model.principal import Principal, PrincipalKind
from gateway.settings import Home, LedgerSection, Settings
from ledger.crypto.domains import NO_HASH, session_token_message
from ledger.crypto.ed25519 import SigningKey
from ledger.identity.facts import Moment
from ledger.identity.grant import Role
from ledger.network.wire import PeerAddress
from ledger.types.messages import GetChain, Status

pytestmark = pytest.mark.integration

CHAIN = b"\xc4" * 32
WAIT_S = 30.0


class OpenFacts:
    """A chain without foundation on which nobody has a lease."""

    chain_id = CHAIN
    foundation = None

    def __init__(self) -> None:
        self.retired: set[bytes] = set()

    def is_revoked(self, _grant_id: bytes, /) -> bool:
        return False

    def is_retired(self, node_id: bytes, /) -> bool:
        return node_id in self.retired

    def is_listed(self, _measurement: bytes, /) -> bool:
        return False

    def lease(self, _node_id: bytes, /) -> None:
        return None


@dataclass
class Node:
    """One network with what its node heard."""

    network: PeerNetwork
    key: SigningKey
    heard: list[tuple[bytes, object]] = field(default_factory=list)
    connected: list[bytes] = field(default_factory=list)
    mempool: dict[bytes, None] = field(default_factory=dict)
    agents: tuple[bytes, ...] = ()
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def id(self) -> bytes:
        return self.key.public_key

    def side(self, listening: Callable[[], None]) -> NodeSide:
        return NodeSide(
            receive=self._receive,
            peer_connected=self._peer_connected,
            submit=self._submit,
            pending=lambda count: tuple(self.mempool)[:count],
            agents=lambda: self.agents,
            listening=listening,
        )

    def _receive(self, peer: bytes, message: object) -> None:
        self.heard.append((peer, message))
        self.changed.set()

    def _peer_connected(self, peer: bytes) -> None:
        self.connected.append(peer)
        self.changed.set()

    def _submit(self, raw: bytes) -> Submitted:
        is_new = raw not in self.mempool
        self.mempool[raw] = None
        self.changed.set()
        return Submitted.TAKEN if is_new else Submitted.LEFT

    async def until(self, is_so) -> None:
        """Wait until `is_so()`; the network looks around ten times a second by itself."""
        async with asyncio.timeout(WAIT_S):
            while not is_so():
                self.changed.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.changed.wait(), 0.05)


def own(node: Node) -> MqttPeerNetwork:
    assert isinstance(node.network, MqttPeerNetwork)
    return node.network


@contextlib.asynccontextmanager
async def running(*nodes: Node):
    """Run the nodes' networks while the block runs."""
    async with asyncio.TaskGroup() as group:
        tasks = []
        for node in nodes:
            listening = asyncio.Event()
            tasks.append(group.create_task(node.network.run(node.side(listening.set))))
            await listening.wait()
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory) -> ListenerCertificate:
    home = Home(tmp_path_factory.mktemp("tls"))
    settings = Settings("n", ledger=LedgerSection(listen="127.0.0.1:1"))
    made = peer_settings(home, settings, SystemClock()).certificate
    assert made is not None
    return made


def make_node(number: int, peers=(), *, facts=None, is_listening=True, tls=None, **changes) -> Node:
    key = SigningKey(hashlib.sha256(bytes([number])).digest())
    known = facts or OpenFacts()
    identity = NodeIdentity(
        node_id=key.public_key,
        chain_id=CHAIN,
        role=Role.AGENT,
        sign=lambda token: key.sign(session_token_message(token)),
        facts=lambda: known,
        now=lambda: Moment(1_700_000_000_000, is_trusted=True),
    )
    listen = ("127.0.0.1", 0) if is_listening else None
    network = MqttPeerNetwork(
        replace(identity, **changes),
        PeerSettings(listen, tuple(peers), tls is not None, tls),
        SystemClock(),
    )
    return Node(network, key)


def at(node: Node, node_id: bytes | None = None) -> PeerAddress:
    port = node.network.port
    assert port is not None
    return PeerAddress(node_id or node.id, "127.0.0.1", port)


def status(height: int) -> Status:
    return Status(0, 1, height, NO_HASH, 0, is_synchronised=True)


async def test_two_nodes_hear_each_other_over_one_connection():
    a = make_node(1)
    async with running(a):
        b = make_node(2, [at(a)], is_listening=False)
        async with running(b):
            await a.until(lambda: a.connected == [b.id] and b.connected == [a.id])
            a.network.broadcast(status(1))
            b.network.broadcast(status(2))
            a.network.send(b.id, GetChain(3))
            b.network.send(a.id, GetChain(4))

            await a.until(lambda: len(a.heard) == 2 and len(b.heard) == 2)
            assert set(a.heard) == {(b.id, status(2)), (b.id, GetChain(4))}
            assert set(b.heard) == {(a.id, status(1)), (a.id, GetChain(3))}
            assert [view.is_outbound for view in b.network.views()] == [True]
            assert [view.is_outbound for view in a.network.views()] == [False]

        await a.until(lambda: not a.network.connected)


async def test_a_light_node_hears_only_what_is_for_it_and_is_left_out_of_gossip():
    a = make_node(1)
    async with running(a):
        b = make_node(2, [at(a)], is_listening=False, role=Role.LIGHT)
        c = make_node(3, [at(a)], is_listening=False)
        async with running(b, c):
            await a.until(lambda: {b.id, c.id} <= a.network.connected)
            assert a.connected == [c.id], "consensus does not hear of a light node"
            a.network.broadcast(status(1))
            for _ in range(20):
                a.network.gossip(status(2), 1)
            a.network.send(b.id, GetChain(3))
            a.network.broadcast(status(4))
            await c.until(lambda: (a.id, status(4)) in c.heard)
            await b.until(lambda: b.heard)
            assert b.heard == [(a.id, GetChain(3))]
            assert len(c.heard) == 22


async def test_over_tls_the_handshake_is_bound_to_the_certificate(certificate):
    a = make_node(1, tls=certificate)
    async with running(a):
        b = make_node(2, [at(a)], tls=certificate)
        async with running(b):
            b.network.broadcast(status(2))
            await a.until(lambda: (b.id, status(2)) in a.heard)


async def test_a_relay_with_a_certificate_of_its_own_is_noticed(certificate):
    a = make_node(1, tls=replace(certificate, channel=bytes(32)))  # says it shows another one
    async with running(a):
        b = make_node(2, [at(a)], tls=certificate)
        async with running(b):
            await b.until(lambda: a.id in b.network.refusals)
            assert "wrong-channel" in b.network.refusals[a.id]


async def test_nodes_that_dial_each_other_end_with_one_connection():
    nodes = [make_node(1), make_node(2)]
    async with running(*nodes):
        for node, other in zip(nodes, reversed(nodes), strict=True):
            own(node)._book.configure([at(other)], 0)

        def have_one_connection() -> bool:
            (*first,), (*second,) = (node.network.views() for node in nodes)
            ends = [view.is_outbound for view in (*first, *second)]
            return len(first) == len(second) == 1 and sorted(ends) == [False, True]

        await nodes[0].until(have_one_connection)
        nodes[0].network.broadcast(status(1))
        await nodes[1].until(lambda: (nodes[0].id, status(1)) in nodes[1].heard)


async def test_what_a_peer_missed_it_hears_when_it_comes():
    a = make_node(1)
    async with running(a):
        a.network.broadcast(status(7))
        b = make_node(2, [at(a)])
        async with running(b):
            await b.until(lambda: (a.id, status(7)) in b.heard)


async def test_transactions_travel_on_until_everybody_has_them():
    hub = make_node(1)
    async with running(hub):
        leaves = [make_node(n, [at(hub)], is_listening=False) for n in (2, 3)]
        async with running(*leaves):
            await hub.until(lambda: len(hub.network.connected) == 2)
            leaves[0].mempool[b"transaction"] = None
            leaves[0].network.relay(b"transaction")

            await leaves[1].until(lambda: b"transaction" in leaves[1].mempool)


async def test_addresses_of_agents_travel_on_and_others_do_not():
    a, b = make_node(1), make_node(2)
    async with running(a, b):
        c = make_node(3, [at(a), at(b)])
        async with running(c):
            await c.until(lambda: len(c.network.connected) == 2)
            share = own(c)._share_addresses
            await a.until(lambda: c.id in a.network.connected)
            share()
            await a.until(lambda: a.network.traffic().heard_bytes > 0)
            assert a.network.connected == {c.id}
            a.agents = (b.id,)

            def is_known_after_sharing() -> bool:
                share()
                return b.id in a.network.connected

            await a.until(is_known_after_sharing)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"chain_id": b"\xc5" * 32}, "cannot be reached|refused|took too long"),
        ({"sign": lambda _token: bytes(64)}, "bad-signature"),
    ],
)
async def test_a_stranger_is_refused_with_the_reason(changes, code, caplog):
    a = make_node(1)
    async with running(a):
        b = make_node(2, [at(a)], **changes)
        async with running(b):
            await b.until(lambda: a.id in b.network.refusals)
            line = b.network.refusals[a.id]
            assert any(part in line for part in code.split("|")), line
            assert not a.network.connected


async def test_another_node_than_was_called_is_refused():
    a = make_node(1)
    async with running(a):
        expected = make_node(9).id
        b = make_node(2, [at(a, expected)])
        async with running(b):
            await b.until(lambda: expected in b.network.refusals)
            assert "wrong-peer" in b.network.refusals[expected]


async def test_a_retired_node_is_refused_and_told_so():
    facts = OpenFacts()
    a = make_node(1, facts=facts)
    async with running(a):
        b = make_node(2, [at(a)])
        facts.retired.add(b.id)
        async with running(b):
            await b.until(lambda: "retired" in b.network.refusals.get(a.id, ""))
            assert not a.network.connected


@pytest.mark.parametrize("gone", ["the one that dialled", "the one that listens"])
async def test_a_node_that_is_retired_while_it_is_connected_is_parted_with(monkeypatch, gone):
    monkeypatch.setattr(network, "JUDGE_INTERVAL_S", 0.1)
    facts = {1: OpenFacts(), 2: OpenFacts()}
    a = make_node(1, facts=facts[1])
    async with running(a):
        b = make_node(2, [at(a)], facts=facts[2])
        async with running(b):
            await b.until(lambda: a.id in b.network.connected and b.id in a.network.connected)
            judge, other = (a, b) if gone == "the one that dialled" else (b, a)
            facts[1 if judge is a else 2].retired.add(other.id)
            await judge.until(lambda: "retired" in judge.network.refusals.get(other.id, ""))
            await judge.until(lambda: not judge.network.connected)


async def test_a_peer_that_sends_rubbish_is_expelled_and_banned():
    a = make_node(1)
    async with running(a):
        b = make_node(2, [at(a)])
        async with running(b):
            await b.until(lambda: a.id in b.network.connected and b.id in a.network.connected)
            for number in range(6):
                own(b)._send(a.id, b"rubbish %d" % number)

            await a.until(lambda: not a.network.connected)
            assert "banned" in a.network.refusals[b.id]
            await b.until(lambda: "bans us" in b.network.refusals.get(a.id, ""))


class Everybody:
    """A cluster that lets everybody in."""

    async def authenticate(self, client_id, username, password, address):
        return Principal(client_id, PrincipalKind.USER, ("#",), ("#",))


def make_member(number: int, port: int) -> Node:
    key = SigningKey(hashlib.sha256(bytes([number])).digest())
    login = ClusterLogin("127.0.0.1", port, f"member-{number}")
    return Node(ClusterNetwork(key.public_key, CHAIN, login, SystemClock()), key)


async def test_nodes_on_a_shared_cluster_hear_each_other_and_connect_again():
    settings = BrokerSettings("cluster", port=0)
    broker = EmbeddedBroker(settings, Everybody(), NoTelemetry(), SystemClock())
    await broker.start()
    port = broker.port
    members = [make_member(number, port) for number in (1, 2, 3)]
    a, b, c = members
    async with running(*members):
        while not all(len(one.network.connected) == 2 for one in members):
            for number, one in enumerate(members):
                one.network.broadcast(status(number))
            await asyncio.sleep(0.05)
        a.network.send(b.id, GetChain(4))
        a.mempool[b"transaction"] = None
        a.network.relay(b"transaction")
        await b.until(lambda: (a.id, GetChain(4)) in b.heard and b"transaction" in b.mempool)
        assert (a.id, GetChain(4)) not in c.heard

        await broker.stop()
        await a.until(lambda: bool(a.network.refusals))
        again = EmbeddedBroker(
            replace(settings, port=port), Everybody(), NoTelemetry(), SystemClock()
        )
        await again.start()
        await a.until(lambda: not a.network.refusals)
        await b.until(lambda: not b.network.refusals)
        b.network.broadcast(status(99))
        await a.until(lambda: (b.id, status(99)) in a.heard)
    await again.stop()
