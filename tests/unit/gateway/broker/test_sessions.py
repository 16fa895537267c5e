"""Waiting sessions are bounded per principal and in all, and expire."""

from gateway.broker.outbound import OutboundBudget
from gateway.broker.session import Session
from gateway.broker.sessions import SessionRegistry
from gateway.broker.settings import BrokerSettings
from gateway.model.principal import Principal, PrincipalKind

LIMITS = BrokerSettings(
    "gw1",
    offline_sessions_max=4,
    offline_sessions_per_principal_max=2,
    offline_session_expiry_s=10,
)


def left(registry: SessionRegistry, principal: str, client_id: str, now_ms: int) -> Session:
    owner = Principal(principal, PrincipalKind.DEVICE, (), ())
    session = Session(owner, client_id, LIMITS, OutboundBudget(1_000), is_clean=False)
    registry.add(session)
    registry.leave(session, now_ms)
    return session


def test_one_principal_keeps_its_newest():
    registry = SessionRegistry(LIMITS)
    oldest = left(registry, "a", "1", 0)
    left(registry, "a", "2", 1)
    left(registry, "b", "1", 2)
    left(registry, "a", "3", 3)

    assert registry.surplus("a", 4) == [oldest]
    assert registry.surplus("b", 4) == []


def test_in_all_the_longest_left_goes_first():
    registry = SessionRegistry(LIMITS)
    first = left(registry, "a", "1", 0)
    for number in range(4):
        left(registry, f"b{number}", "1", number)

    assert registry.surplus("b3", 5) == [first]


def test_sessions_expire():
    registry = SessionRegistry(LIMITS)
    old = left(registry, "a", "1", 0)
    left(registry, "b", "1", 9_000)

    assert registry.surplus("b", 10_000) == []
    assert registry.surplus("b", 10_001) == [old]


def test_a_session_that_is_taken_up_again_does_not_wait():
    registry = SessionRegistry(LIMITS)
    session = left(registry, "a", "1", 0)

    registry.add(session)
    assert registry.surplus("a", 10**9) == []

    registry.remove(session)
    assert registry.get(("a", "1")) is None
