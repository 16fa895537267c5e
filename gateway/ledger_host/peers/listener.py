"""The peer listener: a broker of its own for other nodes, who prove themselves before they hear anything."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from gateway.clock import Clock
from gateway.ledger_host.peers.admission import GUEST, PeerAdmission
from gateway.ledger_host.peers.identity import NodeIdentity
from gateway.ledger_host.peers.responder import Responder
from gateway.ledger_host.peers.seams import ListenerCertificate
from ledger.identity.grant import Role
from ledger.identity.peer_check import AcceptedPeer
from ledger.identity.refusals import PeerFlag
from ledger.network.topics import ChainTopics

LIGHT_MAX = 128  # half of all connections: as many as they are, they crowd out no agent
GUEST_S = 20.0  # a stranger that has not proved itself by then is shown out

Spawn = Callable[[Coroutine[Any, Any, None]], object]


@dataclass(frozen=True, slots=True)
class ListenerPlace:
    """Where to listen; without a certificate in plain text. Port 0 takes any."""

    host: str
    port: int
    certificate: ListenerCertificate | None = None


@dataclass(frozen=True, slots=True)
class ListenerEvents:
    """What the network is told, on the event loop."""

    on_heard: Callable[[bytes, str, bytes], None]  # peer, kind, payload
    on_came: Callable[[bytes], None]
    on_gone: Callable[[bytes], None]
    is_banned: Callable[[bytes], bool]


class PeerListener:
    """Create it in a running event loop; `watch` is called now and then."""

    def __init__(
        self,
        identity: NodeIdentity,
        place: ListenerPlace,
        clock: Clock,
        events: ListenerEvents,
        spawn: Spawn,
    ) -> None:
        self._own_id = identity.node_id
        self._topics = ChainTopics(identity.chain_id)
        self._events = events
        self._spawn = spawn
        self._loop = asyncio.get_running_loop()
        self._guests: dict[str, float] = {}
        self._accepted: dict[bytes, AcceptedPeer] = {}
        self.inbound: dict[bytes, tuple[PeerFlag, ...]] = {}
        self.peers: dict[bytes, AcceptedPeer] = {}  # those of `inbound` as they proved themselves
        self.light: set[bytes] = set()  # those of `inbound` that follow headers only
        admission = PeerAdmission(identity.node_id, self._topics, clock)
        self._responder = Responder(
            identity,
            admission,
            self._say_to_guest,
            is_banned=events.is_banned,
            on_accepted=self._on_accepted,
        )
        if place.certificate is not None:
            self._responder.channel = place.certificate.channel
        # Nodes that only dial have no need of a broker.
        from gateway.ledger_host.peers.listening import make_broker  # noqa: PLC0415 - the line above

        self._broker = make_broker(place.host, place.port, place.certificate, admission, clock)
        self._broker.add_listener(self._topics.everything(), self._on_message)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._broker.port

    async def start(self) -> None:
        """Listen. Raises `BrokerError` with what to do."""
        await self._broker.start()

    async def stop(self) -> None:
        """Close everything."""
        await self._broker.stop()

    def broadcast(self, kind: str, raw: bytes, *, retain: bool) -> None:
        """Say something to every peer that is connected here."""
        self._broker.publish(self._topics.of(kind, self._own_id), raw, retain=retain)

    def send(self, peer: bytes, raw: bytes) -> None:
        """Say something to one of them."""
        self._broker.publish(self._topics.direct(self._own_id, peer), raw)

    def expel(self, peer: bytes) -> None:
        """End a peer's connection."""
        self._broker.disconnect({peer.hex()})

    def watch(self) -> None:
        """Notice who came and who went, and show out guests that stay too long."""
        names = self._broker.connected_names()
        for peer in [peer for peer in self.inbound if peer.hex() not in names]:
            del self.inbound[peer]
            self.peers.pop(peer, None)
            self.light.discard(peer)
            self._events.on_gone(peer)
        for name in names:
            if not name.startswith(GUEST):
                self._notice(bytes.fromhex(name))
        deadline_s = self._loop.time() - GUEST_S
        for guest in [guest for guest, since_s in self._guests.items() if since_s < deadline_s]:
            del self._guests[guest]
            self._broker.disconnect({f"{GUEST}-{guest}"})

    def _notice(self, peer: bytes) -> None:
        if peer not in self.inbound:
            accepted = self._accepted.pop(peer, None)
            self.inbound[peer] = () if accepted is None else accepted.flags
            if accepted is not None:
                self.peers[peer] = accepted
            if accepted is not None and accepted.role is Role.LIGHT:
                self.light.add(peer)
            if len(self.light) > LIGHT_MAX:
                self.expel(peer)  # the room is for those who make the chain; it will try elsewhere
            self._events.on_came(peer)

    def _on_message(self, topic: str, raw: bytes) -> None:
        guest = self._topics.guest_of(topic)
        if guest is not None:
            self._guests.setdefault(guest, self._loop.time())
            self._spawn(self._responder.hear(guest, raw))
            return
        spoken = self._topics.speaker_of(topic, self._own_id)
        if spoken is not None and spoken[1] != self._own_id:
            self._events.on_heard(spoken[1], spoken[0], raw)

    def _say_to_guest(self, guest: str, raw: bytes) -> None:
        self._broker.publish(self._topics.handshake_down(guest), raw)

    def _on_accepted(self, peer: AcceptedPeer) -> None:
        self._accepted[peer.node_id] = peer
