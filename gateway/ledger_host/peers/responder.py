"""The listener's side of handshakes: a hello is answered, a proof is judged, a peer is admitted."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from gateway.errors import AgentError
from gateway.ledger_host.peers.admission import PeerAdmission
from gateway.ledger_host.peers.identity import NodeIdentity
from ledger.codec.canonical import encode
from ledger.identity.handshake import PendingAnswer, ReplayWindow, answer_hello, check_proof
from ledger.identity.messages import HANDSHAKE_BYTES_MAX, encode_goodbye
from ledger.identity.peer_check import AcceptedPeer
from ledger.identity.refusals import Refused

_log = logging.getLogger(__name__)

PENDING_MAX = 64  # handshakes under way; the oldest gives way
SIGNING_MAX = 4  # at once: strangers do not keep the SmartAgent busy

Say = Callable[[str, bytes], None]  # to a guest
IsBanned = Callable[[bytes], bool]


class Welcome(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=9):
    """The last message of a handshake: the password for the connection that follows."""

    password: str


@dataclass(frozen=True, slots=True)
class _Pending:
    answer: PendingAnswer
    sent: bytes


class Responder:
    """Answers guests. `say` reaches a guest, `on_accepted` hears of each peer that proved itself."""

    def __init__(
        self,
        identity: NodeIdentity,
        admission: PeerAdmission,
        say: Say,
        *,
        is_banned: IsBanned,
        on_accepted: Callable[[AcceptedPeer], None],
    ) -> None:
        self._identity = identity
        self._admission = admission
        self._say = say
        self._is_banned = is_banned
        self._on_accepted = on_accepted
        self._window = ReplayWindow()
        self._pending: OrderedDict[str, _Pending] = OrderedDict()
        self._signing = asyncio.Semaphore(SIGNING_MAX)
        self.channel: bytes | None = None  # of the listener's certificate

    async def hear(self, guest: str, raw: bytes) -> None:
        """Take one message of a guest and answer it."""
        if len(raw) > HANDSHAKE_BYTES_MAX:
            return
        pending = self._pending.pop(guest, None)
        try:
            answer = (
                await self._answer_hello(guest, raw)
                if pending is None
                else self._judge_proof(pending, raw)
            )
        except AgentError as error:
            _log.warning("a peer is not answered: %s", error)
            return
        if isinstance(answer, Refused):
            _log.info("a peer was refused: %s", answer)
            answer = encode_goodbye(answer)
        self._say(guest, answer)

    async def _answer_hello(self, guest: str, raw: bytes) -> bytes | Refused:
        async with self._signing:
            instance = await asyncio.to_thread(self._identity.instance)
            own = self._identity.own_side(self.channel, instance)
            answer = answer_hello(raw, own, self._window)
            if isinstance(answer, Refused):
                return answer
            signature = await asyncio.to_thread(self._identity.sign, answer.token)
        sent = answer.finish(signature)
        self._pending[guest] = _Pending(answer, sent)
        if len(self._pending) > PENDING_MAX:
            self._pending.popitem(last=False)
        return sent

    def _judge_proof(self, pending: _Pending, raw: bytes) -> bytes | Refused:
        identity = self._identity
        peer = check_proof(
            raw, pending.answer, pending.sent, facts=identity.facts(), now=identity.now()
        )
        if isinstance(peer, Refused):
            return peer
        if self._is_banned(peer.node_id):
            _log.info("peer %s is banned for now", peer.node_id.hex()[:16])
            return b""  # said to nobody: an empty message ends the guest's wait
        self._on_accepted(peer)
        return encode(Welcome(self._admission.admit(peer.node_id)))
