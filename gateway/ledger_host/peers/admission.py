"""Who may use the peer listener: guests, who can only prove who they are, and peers who have.

Rule 1: a guest sees nothing but its own handshake, whose topics carry its random client id.
Rule 2: a peer's password is made by the handshake, serves one connection, and ends after a minute.
Rule 3: under a peer's node id nobody but that peer publishes.
"""

import hmac
import re
import secrets
from dataclasses import dataclass

from gateway.clock import Clock
from gateway.model.principal import Principal, PrincipalKind
from ledger.crypto.hashing import sha256
from ledger.network.topics import BROADCAST_KINDS, ChainTopics

GUEST = "guest"
PASSWORD_LIFETIME_MS = 60_000
ADMITTED_MAX = 256  # passwords that wait for their connection
_GUEST_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class _Admitted:
    digest: bytes
    until_ms: int


class PeerAdmission:
    """The listener's authenticator; implements `gateway.ports.Authenticator`."""

    def __init__(self, own_id: bytes, topics: ChainTopics, clock: Clock) -> None:
        self._own_id = own_id
        self._topics = topics
        self._clock = clock
        self._admitted: dict[str, _Admitted] = {}

    def admit(self, node: bytes) -> str:
        """Return the password for one connection of a node that has proved itself."""
        password = secrets.token_hex(16)
        until_ms = self._now_ms() + PASSWORD_LIFETIME_MS
        self._admitted.pop(node.hex(), None)
        self._admitted[node.hex()] = _Admitted(sha256(password.encode()), until_ms)
        if len(self._admitted) > ADMITTED_MAX:
            del self._admitted[next(iter(self._admitted))]
        return password

    async def authenticate(
        self,
        client_id: str,
        username: str,
        password: bytes,
        address: str,  # noqa: ARG002 - the broker's gate counts addresses
    ) -> Principal | None:
        """Return a guest, a peer, or None."""
        if username == GUEST:
            return self._guest(client_id)
        admitted = self._admitted.get(username)
        if admitted is None or admitted.until_ms < self._now_ms():
            return None
        if not hmac.compare_digest(admitted.digest, sha256(password)):
            return None  # 128 random bits: nobody guesses them, and guessing spends nothing
        del self._admitted[username]
        return self._peer(bytes.fromhex(username))

    def _guest(self, client_id: str) -> Principal | None:
        if _GUEST_ID.fullmatch(client_id) is None:
            return None
        return Principal(
            name=f"{GUEST}-{client_id}",
            kind=PrincipalKind.PEER,
            publish_filters=(self._topics.handshake_up(client_id),),
            subscribe_filters=(self._topics.handshake_down(client_id),),
        )

    def _peer(self, node: bytes) -> Principal:
        says = tuple(self._topics.of(kind, node) for kind in BROADCAST_KINDS)
        return Principal(
            name=node.hex(),
            kind=PrincipalKind.PEER,
            publish_filters=(*says, self._topics.direct(node, self._own_id)),
            subscribe_filters=self._topics.heard_by(node, self._own_id),
        )

    def _now_ms(self) -> int:
        return self._clock.monotonic_ns() // 1_000_000
