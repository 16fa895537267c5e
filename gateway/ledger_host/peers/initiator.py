"""The dialling side of a handshake: who is called proves itself, then we do, then we hold a password."""

import asyncio
import secrets
from collections import deque
from dataclasses import dataclass
from typing import Never

from gateway.errors import AgentError, MessagingError
from gateway.ledger_host.peers.admission import GUEST
from gateway.ledger_host.peers.identity import NodeIdentity
from gateway.ledger_host.peers.responder import Welcome
from gateway.messaging.peer_connection import PeerConnection, PeerLogin, peer_tls_context
from ledger.codec.canonical import Decoder
from ledger.errors import CodecError
from ledger.identity.handshake import build_hello, check_answer
from ledger.identity.messages import decode_handshake, encode_goodbye
from ledger.identity.peer_check import AcceptedPeer
from ledger.identity.refusals import RefusalCode, Refused
from ledger.network.topics import ChainTopics
from ledger.network.wire import PeerAddress

HANDSHAKE_TIMEOUT_S = 15.0  # three messages and two signatures over a bad line

_welcomes = Decoder(Welcome)


class PeerRefusedError(MessagingError):
    """One side does not accept the other: `refused` has the code."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(str(refused))
        self.refused = refused


@dataclass(frozen=True, slots=True)
class Admitted:
    """A peer that accepted us and was accepted, the password for the connection, and its channel."""

    peer: AcceptedPeer
    password: str
    channel: bytes | None


class Mailbox:
    """Brings a connection's events from its thread to the event loop, in order.

    A broker may send messages before it confirms the subscription (MQTT-3.8.4): they come after the opening.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._early: deque[tuple[str, bytes]] = deque()
        self._arrived: asyncio.Queue[tuple[str, bytes | None] | str] = asyncio.Queue()

    def on_open(self, channel: bytes | None) -> None:
        """Called by the connection."""
        self._put(("", channel))

    def on_message(self, topic: str, payload: bytes) -> None:
        """Called by the connection."""
        self._put((topic, payload))

    def on_closed(self, reason: str) -> None:
        """Called by the connection."""
        self._put(reason)

    async def wait_open(self) -> bytes | None:
        """Return the channel of the connection that stands now; raises `MessagingError`."""
        while True:
            topic, payload = await self._next()
            if not topic:
                return payload
            assert payload is not None
            self._early.append((topic, payload))

    async def next(self) -> tuple[str, bytes]:
        """Return the next message's topic and payload; raises `MessagingError` at the end."""
        if self._early:
            return self._early.popleft()
        topic, payload = await self._next()
        assert payload is not None
        return topic, payload

    async def next_message(self) -> bytes:
        """Return the next message; raises `MessagingError` when the connection ended."""
        return (await self.next())[1]

    async def _next(self) -> tuple[str, bytes | None]:
        arrived = await self._arrived.get()
        if isinstance(arrived, str):
            raise MessagingError(arrived)
        return arrived

    def _put(self, arrived: tuple[str, bytes | None] | str) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._arrived.put_nowait, arrived)


async def shake_hands(
    address: PeerAddress, identity: NodeIdentity, topics: ChainTopics, *, is_tls: bool
) -> Admitted:
    """Prove ourselves to the node at an address, and have it prove itself.

    Raises `PeerRefusedError` with the code, and `MessagingError` where nobody answers.
    """
    guest = secrets.token_hex(16)
    mailbox = Mailbox()
    tls = peer_tls_context() if is_tls else None
    login = PeerLogin(address.host, address.port, guest, GUEST, None, tls)
    connection = PeerConnection(login, (topics.handshake_down(guest),), mailbox)
    connection.open()
    try:
        async with asyncio.timeout(HANDSHAKE_TIMEOUT_S):
            channel = await mailbox.wait_open()
            return await _converse(
                _Conversation(connection, topics.handshake_up(guest), mailbox),
                address.node,
                identity,
                channel,
            )
    except TimeoutError:
        raise MessagingError("the handshake took too long") from None
    except AgentError as error:
        raise MessagingError(f"the SmartAgent does not help: {error}") from None
    finally:
        await asyncio.to_thread(connection.close)


@dataclass(frozen=True, slots=True)
class _Conversation:
    connection: PeerConnection
    topic: str
    mailbox: Mailbox

    def say(self, raw: bytes) -> None:
        self.connection.publish(self.topic, raw)

    async def ask(self, raw: bytes) -> bytes:
        self.say(raw)
        return await self.mailbox.next_message()

    def leave(self, refused: Refused) -> Never:
        self.say(encode_goodbye(refused))
        raise PeerRefusedError(refused)


async def _converse(
    conversation: _Conversation, expected: bytes, identity: NodeIdentity, channel: bytes | None
) -> Admitted:
    own = identity.own_side(channel, await asyncio.to_thread(identity.instance))
    answer = await conversation.ask(build_hello(own))
    judged = check_answer(
        answer, own, facts=identity.facts(), now=identity.now(), expected_peer=expected
    )
    if isinstance(judged, Refused):
        conversation.leave(judged)
    peer, pending = judged
    signature = await asyncio.to_thread(identity.sign, pending.token)
    password = _read_welcome(await conversation.ask(pending.finish(signature)))
    return Admitted(peer, password, channel)


def _read_welcome(raw: bytes) -> str:
    try:
        return _welcomes.decode(raw).password
    except CodecError:
        pass
    farewell = decode_handshake(raw)
    if isinstance(farewell, Refused):
        raise PeerRefusedError(Refused(RefusalCode.NOT_PERMITTED, "the peer bans us for now"))
    detail = getattr(farewell, "detail", "an unexpected message")
    code = getattr(farewell, "code", RefusalCode.MALFORMED)
    raise PeerRefusedError(Refused(code, f"the other side says: {detail}"))
