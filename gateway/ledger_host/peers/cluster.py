"""All nodes on one shared MQTT cluster instead of links of their own; implements `PeerNetwork`.

Rule 1: who speaks is known by the topic alone. The cluster's access rules must let each node publish under its own
id only; where they do not, a stranger can get a node banned, but forge nothing: votes, blocks and transactions
are signed.
Rule 2: a node counts as connected while it was heard lately.
"""

import asyncio
import logging
import secrets
from collections.abc import Mapping

from gateway.clock import Clock
from gateway.errors import MessagingError
from gateway.ledger_host.peers.ear import Ear
from gateway.ledger_host.peers.initiator import Mailbox
from gateway.ledger_host.peers.seams import NodeSide, PeerView, Traffic
from gateway.messaging.cluster_client import ClusterLogin
from gateway.messaging.peer_connection import PeerConnection, PeerLogin
from ledger.network import topics
from ledger.network.gatekeeper import Gatekeeper, kind_of
from ledger.network.relay import TransactionRelay, pack
from ledger.network.standing import Fault
from ledger.network.topics import ChainTopics
from ledger.network.wire import NetworkMessage, PeerAddress, encode_message
from ledger.types.messages import Message

_log = logging.getLogger(__name__)

TICK_S = 0.1
HEARD_MS = 60_000  # twice the longest silence of a node that runs
RETRY_FIRST_S = 1.0
RETRY_MAX_S = 30.0
REPEATED_TRANSACTIONS_MAX = 500
_RETAINED = (topics.STATUS, topics.VOTE)


class ClusterNetwork:
    """One connection. Create it in a running event loop; `run` keeps it."""

    def __init__(self, node_id: bytes, chain_id: bytes, login: ClusterLogin, clock: Clock) -> None:
        self._node_id = node_id
        self._topics = ChainTopics(chain_id)
        self._login = login
        self._clock = clock
        self._random = secrets.SystemRandom()
        self._gate = Gatekeeper()
        self._relay = TransactionRelay()
        self._ear = Ear(self._gate, self._relay, self.learn)
        self._node: NodeSide | None = None
        self._connection: PeerConnection | None = None
        self._heard_ms: dict[bytes, int] = {}
        self._newest: dict[str, bytes] = {}
        self._said_bytes = 0
        self._problem = ""

    @property
    def port(self) -> int | None:
        """Nobody connects to this node."""
        return None

    @property
    def connected(self) -> frozenset[bytes]:
        """Node ids that were heard lately."""
        return frozenset(self._heard_ms)

    @property
    def refusals(self) -> Mapping[bytes, str]:
        """The cluster's refusal, under no node's id."""
        return {bytes(32): self._problem} if self._problem else {}

    def views(self) -> tuple[PeerView, ...]:
        """Return the nodes that were heard lately."""
        place = f"{self._login.host}:{self._login.port}"
        return tuple(PeerView(node, place, True, ()) for node in self._heard_ms)

    def traffic(self) -> Traffic:
        """Return what passed so far."""
        return Traffic(self._ear.dropped, self._ear.heard_bytes, self._said_bytes)

    def learn(self, address: PeerAddress) -> None:
        """Addresses are of no use here."""

    def broadcast(self, message: Message) -> None:
        """Say something to every node."""
        self._broadcast(message)

    def send(self, peer: bytes, message: NetworkMessage) -> None:
        """Say something to one node."""
        self._publish(self._topics.direct(self._node_id, peer), encode_message(message))

    def gossip(self, message: Message, count: int) -> None:
        """Say something to `count` nodes, drawn anew each time."""
        heard = sorted(self._heard_ms)
        for peer in self._random.sample(heard, min(count, len(heard))):
            self.send(peer, message)

    def blame(self, peer: bytes) -> None:
        """Take note that a node passed on a signature that is not genuine."""
        self.note_fault(peer, Fault.FORGED)

    def note_fault(self, peer: bytes, fault: Fault) -> None:
        """Count a fault against a node's standing."""
        self._gate.blame(peer, fault, self._now_ms())

    def relay(self, raw: bytes) -> None:
        """Pass on a transaction that this node took from its own clients."""
        self._relay.add(raw)

    async def run(self, node: NodeSide) -> None:
        """Stay connected until cancelled."""
        self._node = self._ear.node = node
        node.listening()
        delay_s = RETRY_FIRST_S
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tick_for_ever())
            while True:
                if await self._stay_connected():
                    delay_s = RETRY_FIRST_S
                await asyncio.sleep(delay_s)
                delay_s = min(2 * delay_s, RETRY_MAX_S)

    async def _stay_connected(self) -> bool:
        """Connect and take messages until that ends; tell whether the connection ever stood."""
        login, mailbox, stood = self._login, Mailbox(), False
        peer_login = PeerLogin(
            login.host,
            login.port,
            login.client_id,
            login.username,
            login.password,
            login.tls,
            will_topic=self._topics.of(topics.STATUS, self._node_id),
        )
        connection = PeerConnection(peer_login, self._topics.shared_filters(self._node_id), mailbox)
        connection.open()
        try:
            await mailbox.wait_open()
            stood, self._problem, self._connection = True, "", connection
            _log.info("the cluster at %s:%d is reached", login.host, login.port)
            for kind, raw in self._newest.items():
                self._publish(self._topics.of(kind, self._node_id), raw, retain=True)
            while True:
                self._take(*await mailbox.next())
        except MessagingError as error:
            if str(error) != self._problem:
                _log.warning("the cluster at %s:%d: %s", login.host, login.port, error)
            self._problem = str(error)
            return stood
        finally:
            self._connection = None
            await asyncio.to_thread(connection.close)

    def _take(self, topic: str, raw: bytes) -> None:
        spoken = self._topics.speaker_of(topic, self._node_id)
        if spoken is None or spoken[1] == self._node_id or self._node is None:
            return
        kind, peer = spoken
        is_new = peer not in self._heard_ms
        self._heard_ms[peer] = self._now_ms()
        if is_new:
            self._node.peer_connected(peer)
        self._ear.hear(peer, kind, raw, self._now_ms())

    async def _tick_for_ever(self) -> None:
        assert self._node is not None
        while True:
            now_ms = self._now_ms()
            for peer in [p for p, ms in self._heard_ms.items() if now_ms - ms > HEARD_MS]:
                del self._heard_ms[peer]
            for message in self._relay.flush():
                self._broadcast(message)
            if self._relay.is_repeat_due(now_ms):
                for message in pack(self._node.pending(REPEATED_TRANSACTIONS_MAX)):
                    self._broadcast(message)
            await asyncio.sleep(TICK_S)

    def _broadcast(self, message: NetworkMessage) -> None:
        raw, kind = encode_message(message), kind_of(message)
        retain = kind in _RETAINED
        if retain:
            self._newest[kind] = raw
        self._publish(self._topics.of(kind, self._node_id), raw, retain=retain)

    def _publish(self, topic: str, raw: bytes, *, retain: bool = False) -> None:
        if self._connection is not None and self._connection.publish(topic, raw, retain=retain):
            self._said_bytes += len(raw)

    def _now_ms(self) -> int:
        return self._clock.monotonic_ns() // 1_000_000
