"""Waiting sessions are bounded per principal and in all, and expire."""

from gateway.broker.exchanges import Exchanges
from gateway.broker.outbound import OutboundBudget
from gateway.broker.ports import VolatileJournal
from gateway.broker.recorder import Recorder
from gateway.broker.session.driver import Session
from gateway.broker.session.state import SessionLimits
from gateway.broker.sessions import SessionRegistry
from gateway.broker.settings import BrokerSettings
from gateway.clock import SystemClock
from gateway.model.principal import Principal, PrincipalKind

LIMITS = BrokerSettings("gw1", offline_sessions_max=4, offline_sessions_per_principal_max=2)
EXPIRY_S = 10


def left(registry: SessionRegistry, principal: str, client_id: str, now_ms: int) -> Session:
    owner = Principal(principal, PrincipalKind.DEVICE, (), ())
    recorder = Recorder(VolatileJournal())
    shared = (OutboundBudget(1_000), recorder, Exchanges(recorder, None), SystemClock())
    session = Session((principal, client_id), owner, SessionLimits(1, 1, 1, 1), shared)
    session.set_expiry(EXPIRY_S)
    registry.add(session)
    registry.leave(session, now_ms)
    return session


def test_one_principal_keeps_its_newest():
    registry = SessionRegistry(LIMITS)
    oldest = left(registry, "a", "1", 0)
    left(registry, "a", "2", 1)
    left(registry, "b", "1", 2)
    left(registry, "a", "3", 3)

    assert registry.surplus("a") == [oldest]
    assert registry.surplus("b") == []


def test_in_all_the_longest_left_goes_first():
    registry = SessionRegistry(LIMITS)
    first = left(registry, "a", "1", 0)
    for number in range(4):
        left(registry, f"b{number}", "1", number)

    assert registry.surplus("b3") == [first]


def test_sessions_expire():
    registry = SessionRegistry(LIMITS)
    old = left(registry, "a", "1", 0)
    left(registry, "b", "1", 9_000)

    assert registry.next_expiry_ms() == 10_000
    assert registry.expired(9_999) == []
    assert registry.expired(10_000) == [old]


def test_a_session_that_is_taken_up_again_does_not_wait():
    registry = SessionRegistry(LIMITS)
    session = left(registry, "a", "1", 0)

    registry.add(session)
    assert registry.expired(10**9) == []
    assert registry.next_expiry_ms() is None

    registry.remove(session)
    assert registry.get(("a", "1")) is None
