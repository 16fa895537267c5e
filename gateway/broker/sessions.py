"""All sessions, connected or waiting. What waits is bounded in number and expires."""

from collections import OrderedDict

from gateway.broker.changes import SessionKey
from gateway.broker.session.driver import Session
from gateway.broker.settings import BrokerSettings
from gateway.model.principal import Principal, PrincipalKind


class SessionRegistry:
    """(principal, client id) -> session; for the waiting ones also when they were left."""

    def __init__(self, limits: BrokerSettings) -> None:
        self._limits = limits
        self._sessions: dict[SessionKey, Session] = {}
        self._left_at_ms: OrderedDict[SessionKey, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def get(self, key: SessionKey) -> Session | None:
        """Return the session of this principal and client id, if there is one."""
        return self._sessions.get(key)

    def all(self) -> list[Session]:
        """Return every session, connected or waiting."""
        return list(self._sessions.values())

    def live_surplus(self, principal: Principal) -> list[Session]:
        """Return the connected sessions that this principal has too many, the oldest first."""
        limits = self._limits
        is_device = principal.kind is PrincipalKind.DEVICE
        live_max = (
            limits.live_sessions_per_device_max
            if is_device
            else limits.live_sessions_per_service_max
        )
        live = [
            session
            for session in self._sessions.values()
            if session.is_connected and session.principal.name == principal.name
        ]
        return live[: max(0, len(live) - live_max)]

    def add(self, session: Session) -> None:
        """Register a session that is connected, new or resumed."""
        self._sessions.pop(session.key, None)  # so that the order is that of connecting
        self._sessions[session.key] = session
        self._left_at_ms.pop(session.key, None)

    def remove(self, session: Session) -> None:
        """Forget a session."""
        if self._sessions.get(session.key) is session:
            del self._sessions[session.key]
            self._left_at_ms.pop(session.key, None)

    def leave(self, session: Session, now_ms: int) -> None:
        """Note that a session waits for its client from now on."""
        self._sessions.setdefault(session.key, session)
        self._left_at_ms[session.key] = now_ms

    def surplus(self, principal: str) -> list[Session]:
        """Return the waiting sessions that are too many, the longest left first."""
        limits = self._limits
        own = [key for key in self._left_at_ms if key[0] == principal]
        surplus = set(own[: max(0, len(own) - limits.offline_sessions_per_principal_max)])
        surplus_count = len(self._left_at_ms) - limits.offline_sessions_max
        for position, key in enumerate(self._left_at_ms):
            if position >= surplus_count:
                break
            surplus.add(key)
        return [self._sessions[key] for key in self._left_at_ms if key in surplus]

    def expired(self, now_ms: int) -> list[Session]:
        """Return the waiting sessions whose time is over."""
        return [
            self._sessions[key] for key in self._left_at_ms if self._expires_at_ms(key) <= now_ms
        ]

    def next_expiry_ms(self) -> int | None:
        """Return when the first waiting session expires."""
        return min(map(self._expires_at_ms, self._left_at_ms), default=None)

    def _expires_at_ms(self, key: SessionKey) -> int:
        return self._left_at_ms[key] + self._sessions[key].expiry_s * 1_000
