"""A standing connection to a peer's listener: what we say goes up, what the peer says comes down."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from gateway.ledger_host.peers.identity import NodeIdentity
from gateway.ledger_host.peers.initiator import Admitted
from gateway.messaging.peer_connection import PeerConnection, PeerLogin, peer_tls_context
from ledger.identity.grant import Role
from ledger.network import topics
from ledger.network.topics import ChainTopics
from ledger.network.wire import PeerAddress

OnHeard = Callable[[bytes, str, bytes], None]  # peer, topic, payload


@dataclass(frozen=True, slots=True)
class LinkEvents:
    """What the network does about a link; called on the event loop, with the peer's id."""

    on_open: Callable[[bytes], None]
    on_heard: OnHeard
    on_closed: Callable[[bytes, str], None]


class Link:
    """One outbound connection as an authenticated peer."""

    def __init__(
        self,
        own: NodeIdentity,
        address: PeerAddress,
        admitted: Admitted,
        chain: ChainTopics,
        events: LinkEvents,
        *,
        is_tls: bool,
    ) -> None:
        self.address = address
        self.peer = admitted.peer
        own_id = own.node_id
        self._own_id = own_id
        self._chain = chain
        self._expected_channel = admitted.channel
        self._events = events
        self._loop = asyncio.get_running_loop()
        login = PeerLogin(
            address.host,
            address.port,
            client_id=own_id.hex(),
            username=own_id.hex(),
            password=admitted.password,
            tls=peer_tls_context() if is_tls else None,
            will_topic=chain.of(topics.STATUS, own_id),
        )
        heard = chain.heard_by(own_id, address.node)
        if own.role is Role.LIGHT:
            heard = (chain.direct(address.node, own_id),)  # answers alone: no votes, no blocks
        self._connection = PeerConnection(login, heard, self)

    def open(self) -> None:
        """Begin to connect."""
        self._connection.open()

    async def close(self) -> None:
        """End the connection and its thread."""
        self._connection.publish(self._chain.of(topics.STATUS, self._own_id), b"", retain=True)
        await asyncio.to_thread(self._connection.close)

    def broadcast(self, kind: str, raw: bytes, *, retain: bool) -> bool:
        """Say something to everybody who listens at the peer; False when it cannot be sent."""
        return self._connection.publish(self._chain.of(kind, self._own_id), raw, retain=retain)

    def send(self, raw: bytes) -> bool:
        """Say something to the peer itself; False when it cannot be sent."""
        return self._connection.publish(self._chain.direct(self._own_id, self.address.node), raw)

    def on_open(self, channel: bytes | None) -> None:
        """The password was right; the channel must be the one that the handshake was bound to."""
        if channel != self._expected_channel:
            self.on_closed("another TLS certificate than in the handshake")
            return
        self._call(self._events.on_open, self.address.node)

    def on_message(self, topic: str, payload: bytes) -> None:
        """Called on the connection's thread."""
        self._call(self._events.on_heard, self.address.node, topic, payload)

    def on_closed(self, reason: str) -> None:
        """Called on the connection's thread, once."""
        self._call(self._events.on_closed, self.address.node, reason)

    def _call(self, what: Callable[..., None], *arguments: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(what, *arguments)
