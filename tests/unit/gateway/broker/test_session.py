"""Delivery to one client: QoS state, window, limits and redelivery, as a script of packets."""

from dataclasses import replace

from gateway.broker.message import Message
from gateway.broker.outbound import OutboundBudget
from gateway.broker.packets import (
    PUBACK,
    PUBCOMP,
    PUBREC,
    PUBREL,
    encode_ack,
    encode_publish,
)
from gateway.broker.session import Session
from gateway.broker.settings import BrokerSettings
from gateway.model.principal import Principal, PrincipalKind

LIMITS = BrokerSettings("gw1", inflight_max=2, queue_messages_max=3, queue_bytes_max=1_000)
BUDGET = 100_000
PRINCIPAL = Principal("reader", PrincipalKind.SERVICE, (), ("#",))


class Wire:
    """A peer's side: what it was sent; it can stop taking bytes."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.is_open = True

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    def is_writable(self) -> bool:
        return self.is_open

    def close(self, reason: str) -> None:
        self.is_open = False

    def take(self) -> list[bytes]:
        sent, self.sent = self.sent, []
        return sent


def connected(is_clean: bool = False) -> tuple[Session, Wire]:
    session, wire = (
        Session(PRINCIPAL, "c1", LIMITS, OutboundBudget(BUDGET), is_clean=is_clean),
        Wire(),
    )
    session.resume(wire)
    return session, wire


def message(text: str, qos: int = 1, is_retained: bool = False) -> Message:
    return Message("t", text.encode(), qos, is_retained)


def test_qos_0_is_sent_and_forgotten():
    session, wire = connected()

    session.deliver(message("a", 0), 0)
    session.outlet = None
    session.resume(again := Wire())

    assert wire.take() == [encode_publish(message("a", 0), 0)]
    assert again.take() == []


def test_the_window_holds_the_third_message_until_an_acknowledgement():
    session, wire = connected()

    for text in ("a", "b", "c"):
        session.deliver(message(text), 1)
    assert wire.take() == [encode_publish(message("a"), 1, 1), encode_publish(message("b"), 1, 2)]

    session.acknowledge(2)
    assert wire.take() == [encode_publish(message("c"), 1, 3)]


def test_an_acknowledgement_of_nothing_changes_nothing():
    session, wire = connected()
    session.deliver(message("a"), 1)
    wire.take()

    session.acknowledge(9)
    session.complete(9)
    session.release(1)  # PUBREC for a QoS 1 message does not acknowledge it
    assert wire.take() == [encode_ack(PUBREL, 1)]

    session.outlet = None
    session.resume(again := Wire())
    assert again.take() == [encode_publish(message("a"), 1, 1, is_dup=True)]


def test_qos_2_goes_through_its_four_steps():
    session, wire = connected()

    session.deliver(message("a", 2), 2)
    assert wire.take() == [encode_publish(message("a", 2), 2, 1)]
    session.acknowledge(1)  # PUBACK is not an answer to QoS 2
    session.release(1)
    assert wire.take() == [encode_ack(PUBREL, 1)]

    session.outlet = None
    session.resume(again := Wire())
    assert again.take() == [encode_ack(PUBREL, 1)]
    session.complete(1)

    session.outlet = None
    session.resume(third := Wire())
    assert third.take() == []


def test_what_was_in_flight_comes_again_first_in_order_and_marked_dup():
    session, _ = connected()
    for text in ("a", "b", "c"):
        session.deliver(message(text), 1)
    session.outlet = None
    session.deliver(message("d"), 1)

    session.resume(again := Wire())
    assert again.take() == [
        encode_publish(message("a"), 1, 1, is_dup=True),
        encode_publish(message("b"), 1, 2, is_dup=True),
    ]
    session.acknowledge(1)
    session.acknowledge(2)
    assert again.take() == [encode_publish(message("c"), 1, 3), encode_publish(message("d"), 1, 4)]


def test_nothing_waits_for_an_absent_client_at_qos_0_or_with_a_clean_session():
    session, _ = connected()
    session.outlet = None
    assert session.deliver(message("a", 0), 0)
    assert session.queued == 0

    clean, _ = connected(is_clean=True)
    clean.outlet = None
    assert clean.deliver(message("a"), 1)
    assert clean.queued == 0


def test_the_queue_is_bounded_in_number():
    session, wire = connected()
    wire.is_open = False

    assert [session.deliver(message("x"), 1) for _ in range(4)] == [True, True, True, False]
    assert session.queued == 3

    wire.is_open = True
    session.pump()
    assert len(wire.take()) == 2


def test_bytes_are_bounded_with_those_in_flight():
    session, wire = connected()
    big = message("y" * 400)

    assert session.deliver(big, 1)
    assert session.deliver(big, 1)
    assert not session.deliver(big, 1)
    session.acknowledge(1)
    assert session.deliver(big, 1)
    assert len(wire.take()) == 3


def test_a_retained_replay_may_be_longer_than_the_queue():
    session, wire = connected()
    wire.is_open = False

    accepted = [session.deliver(message("x", is_retained=True), 1) for _ in range(10)]

    assert all(accepted)


def test_a_peer_that_takes_nothing_is_sent_nothing():
    session, wire = connected()
    wire.is_open = False
    session.deliver(message("a", 0), 0)
    assert wire.take() == []

    wire.is_open = True
    session.pump()
    assert wire.take() == [encode_publish(message("a", 0), 0)]


def test_packet_ids_wrap_and_skip_those_in_flight():
    session = Session(
        PRINCIPAL, "c", replace(LIMITS, inflight_max=20), OutboundBudget(BUDGET), is_clean=False
    )
    session.resume(wire := Wire())
    session.deliver(message("stays"), 1)
    for packet_id in range(2, 65_536):
        session.deliver(message("x"), 1)
        session.acknowledge(packet_id)
    wire.take()

    session.deliver(message("last"), 1)

    assert wire.take() == [encode_publish(message("last"), 1, 2)]


def test_messages_that_may_no_longer_be_received_are_dropped_on_return():
    session, _ = connected()
    session.deliver(Message("secret", b"1", 1, False), 1)
    session.deliver(Message("open", b"2", 1, False), 1)
    session.outlet = None
    session.deliver(Message("secret", b"3", 1, False), 1)

    session.keep_only(PRINCIPAL, lambda topic: topic == "open")
    session.resume(again := Wire())

    assert again.take() == [encode_publish(Message("open", b"2", 1, False), 1, 2, is_dup=True)]


def test_acknowledgement_packets_have_the_flags_of_the_standard():
    assert [encode_ack(kind, 0x0102).hex() for kind in (PUBACK, PUBREC, PUBREL, PUBCOMP)] == [
        "40020102",
        "50020102",
        "62020102",
        "70020102",
    ]


def test_qos_0_is_dropped_beyond_the_budget_of_all_and_everything_is_given_back():
    budget = OutboundBudget(500)
    sessions = [Session(PRINCIPAL, name, LIMITS, budget, is_clean=False) for name in "ab"]
    wires = [Wire(), Wire()]
    for session, wire in zip(sessions, wires, strict=True):
        wire.is_open = False
        session.resume(wire)

    assert sessions[0].deliver(message("x" * 300), 1)
    assert not sessions[1].deliver(message("x" * 300, 0), 0)
    assert sessions[1].deliver(message("x", 0), 0)
    assert sessions[1].deliver(message("x" * 300), 1)
    assert not budget.has_room()
    sessions[0].keep_only(PRINCIPAL, lambda topic: False)
    assert budget.has_room()
    sessions[1].end()

    assert budget.held_bytes == 0
    assert sessions[1].deliver(message("late"), 1)
    assert budget.held_bytes == 0
