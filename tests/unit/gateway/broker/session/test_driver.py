"""Delivery to one client: QoS state, window, limits and redelivery, as a script of packets."""

from gateway.broker.changes import Delivery
from gateway.broker.codec.reasons import Reason
from gateway.broker.codec.wire import PUBACK, PUBCOMP, PUBREC, PUBREL
from gateway.broker.exchanges import Exchanges
from gateway.broker.message import Message
from gateway.broker.outbound import OutboundBudget
from gateway.broker.ports import VolatileJournal
from gateway.broker.recorder import Recorder
from gateway.broker.session.driver import Session
from gateway.broker.session.state import SessionLimits
from gateway.broker.trie import Grant
from gateway.clock import SystemClock
from gateway.model.principal import Principal, PrincipalKind
from tests.support.mqtt import encode_ack, encode_publish

LIMITS = SessionLimits(3, 1_000, 4_000_000, 100)
WINDOW = 2
BUDGET = 100_000
PRINCIPAL = Principal("reader", PrincipalKind.SERVICE, (), ("#",))


class Wire:
    """A peer's side: what it was sent; it can stop taking bytes."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.is_open = True

    def room(self) -> int:
        return 65_536 if self.is_open else 0

    def send_publish(self, delivery: Delivery, now_ms: int, *, is_dup: bool) -> bool:
        message = Message(
            delivery.message.topic, delivery.message.payload, delivery.qos, delivery.is_retained
        )
        self.sent.append(encode_publish(message, delivery.qos, delivery.packet_id, is_dup=is_dup))
        return True

    def send_receipt(self, packet_id: int) -> None:
        self.sent.append(encode_ack(PUBREC, packet_id))

    def send_release(self, packet_id: int, *, is_known: bool) -> None:
        self.sent.append(encode_ack(PUBREL, packet_id))

    def send_complete(self, packet_id: int, *, is_known: bool) -> None:
        self.sent.append(encode_ack(PUBCOMP, packet_id))

    def close(self, text: str, reason: Reason) -> None:
        self.is_open = False

    def take(self) -> list[bytes]:
        sent, self.sent = self.sent, []
        return sent


class Picky(Wire):
    """A client that takes only messages of one byte."""

    def send_publish(self, delivery: Delivery, now_ms: int, *, is_dup: bool) -> bool:
        is_small = len(delivery.message.payload) == 1
        return is_small and super().send_publish(delivery, now_ms, is_dup=is_dup)


def make_session(budget: OutboundBudget | None = None) -> Session:
    recorder = Recorder(VolatileJournal())
    exchanges = Exchanges(recorder, None)
    shared = (budget or OutboundBudget(BUDGET), recorder, exchanges, SystemClock())
    return Session(("reader", "c1"), PRINCIPAL, LIMITS, shared)


def attach(session: Session, wire: Wire, expiry_s: int = 60, window: int = WINDOW) -> Wire:
    session.attach(wire, window, expiry_s)
    session.resume()
    return wire


def connected(expiry_s: int = 60, window: int = WINDOW) -> tuple[Session, Wire]:
    session = make_session()
    return session, attach(session, Wire(), expiry_s, window)


def message(text: str, qos: int = 1, is_retained: bool = False) -> Message:
    return Message("t", text.encode(), qos, is_retained)


def test_qos_0_is_sent_and_forgotten():
    session, wire = connected()

    session.deliver(message("a", 0), Grant(0))
    session.detach()
    again = attach(session, Wire())

    assert wire.take() == [encode_publish(message("a", 0), 0)]
    assert again.take() == []


def test_the_window_holds_the_third_message_until_an_acknowledgement():
    session, wire = connected()

    for text in ("a", "b", "c"):
        session.deliver(message(text), Grant(1))
    assert wire.take() == [encode_publish(message("a"), 1, 1), encode_publish(message("b"), 1, 2)]

    session.acknowledge(2)
    assert wire.take() == [encode_publish(message("c"), 1, 3)]


def test_messages_too_large_for_the_client_make_room_and_the_rest_keeps_its_order():
    session = make_session()
    attach(session, Wire())
    session.detach()
    for text in ("large", "a", "b"):
        session.deliver(message(text), Grant(1))

    picky = attach(session, Picky())

    assert [data[-1:] for data in picky.take()] == [b"a", b"b"]


def test_an_acknowledgement_of_nothing_changes_nothing():
    session, wire = connected()
    session.deliver(message("a"), Grant(1))
    wire.take()

    session.acknowledge(9)
    session.complete(9)
    session.receive(1, is_refused=False)  # PUBREC for a QoS 1 message does not acknowledge it
    assert wire.take() == [encode_ack(PUBREL, 1)]

    session.detach()
    again = attach(session, Wire())
    assert again.take() == [encode_publish(message("a"), 1, 1, is_dup=True)]


def test_qos_2_goes_through_its_four_steps():
    session, wire = connected()

    session.deliver(message("a", 2), Grant(2))
    assert wire.take() == [encode_publish(message("a", 2), 2, 1)]
    session.acknowledge(1)  # PUBACK is not an answer to QoS 2
    session.receive(1, is_refused=False)
    assert wire.take() == [encode_ack(PUBREL, 1)]

    session.detach()
    again = attach(session, Wire())
    assert again.take() == [encode_ack(PUBREL, 1)]
    session.complete(1)

    session.detach()
    third = attach(session, Wire())
    assert third.take() == []


def test_what_was_in_flight_comes_again_first_in_order_and_marked_dup():
    session, _ = connected()
    for text in ("a", "b", "c"):
        session.deliver(message(text), Grant(1))
    session.detach()
    session.deliver(message("d"), Grant(1))

    again = attach(session, Wire())
    assert again.take() == [
        encode_publish(message("a"), 1, 1, is_dup=True),
        encode_publish(message("b"), 1, 2, is_dup=True),
    ]
    session.acknowledge(1)
    session.acknowledge(2)
    assert again.take() == [encode_publish(message("c"), 1, 3), encode_publish(message("d"), 1, 4)]


def test_nothing_waits_for_an_absent_client_at_qos_0_or_with_a_clean_session():
    session, _ = connected()
    session.detach()
    assert session.deliver(message("a", 0), Grant(0))
    assert session.queued == 0

    clean, _ = connected(expiry_s=0)
    clean.detach()
    assert clean.deliver(message("a"), Grant(1))
    assert clean.queued == 0


def test_the_queue_is_bounded_in_number():
    session, wire = connected()
    wire.is_open = False

    assert [session.deliver(message("x"), Grant(1)) for _ in range(4)] == [True, True, True, False]
    assert session.queued == 3

    wire.is_open = True
    session.pump()
    assert len(wire.take()) == 2


def test_bytes_are_bounded_with_those_in_flight():
    session, wire = connected()
    big = message("y" * 400)

    assert session.deliver(big, Grant(1))
    assert session.deliver(big, Grant(1))
    assert not session.deliver(big, Grant(1))
    session.acknowledge(1)
    assert session.deliver(big, Grant(1))
    assert len(wire.take()) == 3


def test_a_retained_replay_may_be_longer_than_the_queue():
    session, wire = connected()
    wire.is_open = False

    accepted = [session.replay(message("x"), Grant(1)) for _ in range(10)]

    assert all(accepted)


def test_a_peer_that_takes_nothing_is_sent_nothing():
    session, wire = connected()
    wire.is_open = False
    session.deliver(message("a", 0), Grant(0))
    assert wire.take() == []

    wire.is_open = True
    session.pump()
    assert wire.take() == [encode_publish(message("a", 0), 0)]


def test_packet_ids_wrap_and_skip_those_in_flight():
    session, wire = connected(window=20)
    session.deliver(message("stays"), Grant(1))
    for packet_id in range(2, 65_536):
        session.deliver(message("x"), Grant(1))
        session.acknowledge(packet_id)
    wire.take()

    session.deliver(message("last"), Grant(1))

    assert wire.take() == [encode_publish(message("last"), 1, 2)]


def test_messages_that_may_no_longer_be_received_are_dropped_on_return():
    session, _ = connected()
    session.deliver(Message("secret", b"1", 1, False), Grant(1))
    session.deliver(Message("open", b"2", 1, False), Grant(1))
    session.detach()
    session.deliver(Message("secret", b"3", 1, False), Grant(1))

    session.keep_only(PRINCIPAL, lambda topic: topic == "open")
    again = attach(session, Wire())

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
    sessions = [make_session(budget) for _ in "ab"]
    wires = [Wire(), Wire()]
    for session, wire in zip(sessions, wires, strict=True):
        wire.is_open = False
        attach(session, wire)

    assert sessions[0].deliver(message("x" * 300), Grant(1))
    assert not sessions[1].deliver(message("x" * 300, 0), Grant(0))
    assert sessions[1].deliver(message("x", 0), Grant(0))
    assert sessions[1].deliver(message("x" * 300), Grant(1))
    assert not budget.has_room()
    sessions[0].keep_only(PRINCIPAL, lambda topic: False)
    assert budget.has_room()
    sessions[1].end()

    assert budget.held_bytes == 0
    assert sessions[1].deliver(message("late"), Grant(1))
    assert budget.held_bytes == 0
