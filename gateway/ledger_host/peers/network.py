"""The network of one node: implements `ledger.ports.PeerNetwork` over MQTT.

Rule 1: nothing here is needed for safety. A message that is lost is said again by whoever needs it.
Rule 2: sending never waits: what a slow peer does not take in time is dropped for that peer alone.
Rule 3: one connection carries both directions, so a node behind NAT needs no open port.
"""

import asyncio
import logging
import secrets
from collections.abc import Coroutine
from typing import Any

from gateway.clock import Clock
from gateway.errors import MessagingError
from gateway.ledger_host.peers.ear import Ear
from gateway.ledger_host.peers.identity import NodeIdentity
from gateway.ledger_host.peers.initiator import PeerRefusedError, shake_hands
from gateway.ledger_host.peers.link import Link, LinkEvents
from gateway.ledger_host.peers.listener import ListenerEvents, ListenerPlace, PeerListener
from gateway.ledger_host.peers.seams import NodeSide, PeerSettings, PeerView, Traffic
from ledger.identity.grant import Role
from ledger.identity.peer_check import judge_again
from ledger.identity.refusals import PeerFlag
from ledger.network import topics
from ledger.network.address_book import AddressBook
from ledger.network.gatekeeper import BANNED, Gatekeeper, kind_of
from ledger.network.relay import TransactionRelay, pack
from ledger.network.standing import Fault
from ledger.network.topics import ChainTopics
from ledger.network.wire import (
    Addresses,
    NetworkMessage,
    PeerAddress,
    encode_message,
)
from ledger.types.messages import Message

_log = logging.getLogger(__name__)

TICK_S = 0.25  # how soon transactions are passed on and a peer that came is noticed
DIALLING_MAX = 4  # handshakes that we begin at once
ADDRESSES_INTERVAL_S = 60.0
JUDGE_INTERVAL_S = 10.0  # some reads of the state for each peer
REPEATED_TRANSACTIONS_MAX = 500
_RETAINED = (topics.STATUS, topics.VOTE)  # what a peer that comes back hears at once


class MqttPeerNetwork:
    """Listener, links and budgets. Create it in a running event loop; `run` moves it."""

    def __init__(self, identity: NodeIdentity, settings: PeerSettings, clock: Clock) -> None:
        self._identity = identity
        self._settings = settings
        self._clock = clock
        self._random = secrets.SystemRandom()
        self._topics = ChainTopics(identity.chain_id)
        self._gate = Gatekeeper()
        self._relay = TransactionRelay()
        self._ear = Ear(self._gate, self._relay, self.learn)
        self._book = AddressBook(identity.node_id)
        self._links: dict[bytes, Link] = {}
        self._opened: set[bytes] = set()
        self._newest: dict[str, bytes] = {}  # what we retain, for a peer that is reached later
        self._dialling: set[bytes] = set()
        self._node: NodeSide | None = None
        self._group: asyncio.TaskGroup | None = None
        self._is_stopping = False
        self._listener: PeerListener | None = None
        if settings.listen is not None:
            events = ListenerEvents(
                on_heard=self._heard,
                on_came=lambda peer: self._connected(peer, "is connected to us"),
                on_gone=self._on_gone,
                is_banned=lambda peer: self._gate.is_banned(peer, self._now_ms()),
            )
            place = ListenerPlace(*settings.listen, settings.certificate)
            self._listener = PeerListener(identity, place, clock, events, self._spawn)
        self.refusals: dict[bytes, str] = {}  # why a peer is not connected, in one line
        self.said_bytes = 0

    @property
    def port(self) -> int | None:
        """The port that is listened on, or None."""
        return None if self._listener is None else self._listener.port

    @property
    def connected(self) -> frozenset[bytes]:
        """Node ids that can be reached now."""
        return frozenset(self._opened) | frozenset(self._inbound())

    def traffic(self) -> Traffic:
        """Return what passed so far."""
        return Traffic(self._ear.dropped, self._ear.heard_bytes, self.said_bytes)

    def views(self) -> tuple[PeerView, ...]:
        """Return the connected peers."""
        outbound = [
            PeerView(node, f"{link.address.host}:{link.address.port}", True, link.peer.flags)
            for node, link in self._links.items()
            if node in self._opened
        ]
        inbound = [PeerView(node, "", False, flags) for node, flags in self._inbound().items()]
        return tuple(outbound + inbound)

    def broadcast(self, message: Message) -> None:
        """Say something to every peer."""
        self._broadcast(message)

    def send(self, peer: bytes, message: NetworkMessage) -> None:
        """Say something to one peer; one that is away misses it."""
        self._send(peer, encode_message(message))

    def gossip(self, message: Message, count: int) -> None:
        """Say something to `count` peers, drawn anew each time."""
        full = sorted(self.connected - self._light())
        raw = encode_message(message)
        for peer in self._random.sample(full, min(count, len(full))):
            self._send(peer, raw)

    def blame(self, peer: bytes) -> None:
        """Take note that a peer passed on a signature that is not genuine."""
        self.note_fault(peer, Fault.FORGED)

    def note_fault(self, peer: bytes, fault: Fault) -> None:
        """Count a fault against a peer's standing."""
        if self._gate.blame(peer, fault, self._now_ms()):
            self._expel(peer)

    def relay(self, raw: bytes) -> None:
        """Pass on a transaction that this node took from its own clients."""
        self._relay.add(raw)

    def learn(self, address: PeerAddress) -> None:
        """Take a hint where a node may be reached; who answers there must prove its id."""
        self._book.learn(address, self._now_ms())

    async def run(self, node: NodeSide) -> None:
        """Listen and stay connected until cancelled. Raises `BrokerError` where it cannot listen."""
        self._node = self._ear.node = node
        self._book.configure(self._settings.peers, self._now_ms())
        if self._listener is not None:
            await self._listener.start()
        try:
            async with asyncio.TaskGroup() as self._group:
                node.listening()
                try:
                    await self._tick_for_ever()
                finally:
                    self._is_stopping = True
        finally:
            await self._stop()

    async def _stop(self) -> None:
        links = list(self._links.values())
        self._links.clear()
        self._opened.clear()
        for link in links:
            await link.close()
        if self._listener is not None:
            await self._listener.stop()

    async def _tick_for_ever(self) -> None:
        share_at_s = judge_at_s = 0.0
        loop = asyncio.get_running_loop()
        while True:
            if self._listener is not None:
                self._listener.watch()
            self._drop_second_connections()
            self._dial()
            self._flush_transactions()
            if loop.time() >= judge_at_s:
                judge_at_s = loop.time() + JUDGE_INTERVAL_S
                self._judge_again()
            if loop.time() >= share_at_s and self._identity.role is not Role.LIGHT:
                share_at_s = loop.time() + ADDRESSES_INTERVAL_S
                self._share_addresses()
            await asyncio.sleep(TICK_S)

    def _heard_on_link(self, peer: bytes, topic: str, raw: bytes) -> None:
        spoken = self._topics.speaker_of(topic, self._identity.node_id)
        if spoken is not None and spoken[1] == peer:
            self._heard(peer, spoken[0], raw)

    def _heard(self, peer: bytes, kind: str, raw: bytes) -> None:
        dropped = self._ear.hear(peer, kind, raw, self._now_ms())
        if dropped is None or not dropped.is_banned:
            return
        if dropped.detail != BANNED:  # what it sent before it was expelled
            _log.warning("peer %s is banned for now: %s", peer.hex()[:16], dropped.detail)
            self.refusals[peer] = f"banned for now: {dropped.detail}"
            self._expel(peer)

    def _expel(self, peer: bytes) -> None:
        if self._listener is not None:
            self._listener.expel(peer)
        link = self._links.pop(peer, None)
        self._opened.discard(peer)
        self._book.note_failure(peer, self._now_ms())
        if link is not None:
            self._spawn(link.close())

    def _judge_again(self) -> None:
        """Part with whom the chain has revoked or retired since he was accepted."""
        peers = [link.peer for node, link in self._links.items() if node in self._opened]
        if self._listener is not None:
            peers += self._listener.peers.values()
        for peer in peers:
            refused = judge_again(peer, self._identity.facts(), self._identity.now())
            if refused is not None:
                _log.warning("peer %s is parted with: %s", peer.node_id.hex()[:16], refused)
                self.refusals[peer.node_id] = str(refused)
                self._expel(peer.node_id)

    def _inbound(self) -> dict[bytes, tuple[PeerFlag, ...]]:
        return {} if self._listener is None else self._listener.inbound

    def _light(self) -> frozenset[bytes]:
        """Return the peers that follow headers only: they are told what they ask for, and no more."""
        return frozenset() if self._listener is None else frozenset(self._listener.light)

    def _on_gone(self, peer: bytes) -> None:
        self._book.note_lost(peer, self._now_ms())
        _log.info("peer %s is gone", peer.hex()[:16])

    def _connected(self, peer: bytes, how: str) -> None:
        assert self._node is not None
        self.refusals.pop(peer, None)
        self._book.note_connected(peer)
        _log.info("peer %s %s", peer.hex()[:16], how)
        if peer not in self._light():
            self._node.peer_connected(peer)

    def _drop_second_connections(self) -> None:
        """Of two connections to one peer keep the one that the lower id made."""
        for peer in [
            p for p in self._opened if p in self._inbound() and p < self._identity.node_id
        ]:
            self._opened.discard(peer)
            link = self._links.pop(peer, None)
            if link is not None:
                self._spawn(link.close())

    def _dial(self) -> None:
        assert self._node is not None
        busy = (self.connected - self._light()) | self._dialling | frozenset(self._links)
        now_ms = self._now_ms()
        for address in self._book.to_dial(busy, self._node.agents(), now_ms):
            if len(self._dialling) >= DIALLING_MAX or self._gate.is_banned(address.node, now_ms):
                continue
            self._dialling.add(address.node)
            self._spawn(self._connect(address))

    async def _connect(self, address: PeerAddress) -> None:
        node = address.node
        is_tls = self._settings.is_tls
        try:
            admitted = await shake_hands(address, self._identity, self._topics, is_tls=is_tls)
        except MessagingError as error:
            self._note_unreachable(address, error)
            return
        finally:
            self._dialling.discard(node)
        events = LinkEvents(self._on_open, self._heard_on_link, self._on_closed)
        link = Link(self._identity, address, admitted, self._topics, events, is_tls=is_tls)
        self._links[node] = link
        link.open()

    def _note_unreachable(self, address: PeerAddress, error: MessagingError) -> None:
        self._book.note_failure(address.node, self._now_ms())
        line = f"{address.host}:{address.port}: {error}"
        if self.refusals.get(address.node) != line:
            level = logging.WARNING if isinstance(error, PeerRefusedError) else logging.INFO
            _log.log(level, "peer %s is not connected: %s", address.node.hex()[:16], line)
        self.refusals[address.node] = line

    def _on_open(self, peer: bytes) -> None:
        link = self._links.get(peer)
        if link is None or self._node is None:
            return
        self._opened.add(peer)
        for kind, raw in self._newest.items():
            link.broadcast(kind, raw, retain=True)
        self._connected(peer, f"is connected at {link.address.host}:{link.address.port}")

    def _on_closed(self, peer: bytes, reason: str) -> None:
        link = self._links.pop(peer, None)
        if link is None:
            return
        if peer in self._opened:
            self._opened.discard(peer)
            self._book.note_lost(peer, self._now_ms())
            _log.info("the connection to peer %s ended: %s", peer.hex()[:16], reason)
        else:
            self._book.note_failure(peer, self._now_ms())
        self._spawn(link.close())

    def _flush_transactions(self) -> None:
        assert self._node is not None
        for message in self._relay.flush():
            self._broadcast(message)
        if self._relay.is_repeat_due(self._now_ms()):
            for message in pack(self._node.pending(REPEATED_TRANSACTIONS_MAX)):
                self._broadcast(message)

    def _share_addresses(self) -> None:
        peers = self._book.share(self.connected)
        if peers:
            self._broadcast(Addresses(peers))

    def _broadcast(self, message: NetworkMessage) -> None:
        raw = encode_message(message)
        kind = kind_of(message)
        retain = kind in _RETAINED
        if retain:
            self._newest[kind] = raw
        if self._listener is not None:
            self._listener.broadcast(kind, raw, retain=retain)
            self.said_bytes += len(raw) * len(self._listener.inbound.keys() - self._listener.light)
        for peer in self._opened:
            self.said_bytes += len(raw)
            self._links[peer].broadcast(kind, raw, retain=retain)

    def _send(self, peer: bytes, raw: bytes) -> None:
        self.said_bytes += len(raw)
        if peer in self._opened:
            self._links[peer].send(raw)
        elif self._listener is not None and peer in self._listener.inbound:
            self._listener.send(peer, raw)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        assert self._group is not None, "the network runs"
        if self._is_stopping:
            work.close()  # what peers want now, they want of whoever comes next
            return
        self._group.create_task(work)

    def _now_ms(self) -> int:
        return self._clock.monotonic_ns() // 1_000_000
