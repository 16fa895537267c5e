"""All sessions, connected or waiting. What waits is bounded in number and expires."""

from collections import OrderedDict

from gateway.broker.session import Session
from gateway.broker.settings import BrokerSettings
from gateway.model.principal import Principal, PrincipalKind

SessionKey = tuple[str, str]


class SessionRegistry:
    """(principal, client id) -> session; the waiting ones also by the time they were left."""

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
            if session.outlet is not None and session.principal.name == principal.name
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
        self._left_at_ms[session.key] = now_ms

    def surplus(self, principal: str, now_ms: int) -> list[Session]:
        """Return the waiting sessions that are too old or too many, the longest left first."""
        limits = self._limits
        expired_before_ms = now_ms - limits.offline_session_expiry_s * 1_000
        own = [key for key in self._left_at_ms if key[0] == principal]
        surplus = set(own[: max(0, len(own) - limits.offline_sessions_per_principal_max)])
        surplus_count = len(self._left_at_ms) - limits.offline_sessions_max
        for position, (key, left_at_ms) in enumerate(self._left_at_ms.items()):
            if position >= surplus_count and left_at_ms >= expired_before_ms:
                break
            surplus.add(key)
        return [self._sessions[key] for key in self._left_at_ms if key in surplus]
