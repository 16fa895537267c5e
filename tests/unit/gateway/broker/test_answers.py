"""Answers in order of arrival, whatever the order in which they become ready."""

from gateway.broker.answers import Answer, AnswerQueue
from gateway.errors import Rejected, RejectReason

POISON = Rejected(RejectReason.MALFORMED, "not JSON")


class Reading(Answer):
    """A reading whose answer needs something beside the store."""

    def __init__(self, packet: bytes) -> None:
        super().__init__(packet, is_unsettled=True)
        self.events: list[str] = []

    def on_settled(self) -> None:
        self.events.append("settled")

    def on_refused(self, refusal: Rejected) -> None:
        self.events.append(refusal.detail)


def make_queue() -> tuple[AnswerQueue, list[bytes]]:
    sent: list[bytes] = []
    return AnswerQueue(sent.append, lambda packet, refusal: packet.upper()), sent


def test_the_first_place_holds_back_the_others():
    queue, sent = make_queue()
    first, second = Answer(b"1"), Answer(b"2")
    queue.expect(first)
    queue.expect(second)
    queue.send_in_turn(b"3")

    queue.fulfil(second)
    assert sent == []
    assert len(queue.places) == 3

    queue.fulfil(first)
    assert sent == [b"123"]
    assert len(queue.places) == 0


def test_nothing_waits_without_need():
    queue, sent = make_queue()

    queue.send_in_turn(b"1")

    assert sent == [b"1"]


def test_readings_that_are_settled_together_leave_in_one_write():
    queue, sent = make_queue()
    queue.places.extend((b"a", b""))
    queue.places.extend((b"b", b"c"))

    queue.settle(3)
    assert sent == [b"ab"]
    assert queue.owed() == 1
    queue.settle(1)
    assert sent == [b"ab", b"c"]


def test_settled_readings_of_qos_0_send_nothing():
    queue, sent = make_queue()
    queue.places.extend((b"",))

    queue.settle(1)

    assert sent == []
    assert len(queue.places) == 0


def test_a_settled_reading_waits_for_what_came_before():
    queue, sent = make_queue()
    first = Answer(b"1")
    queue.expect(first)
    queue.places.extend((b"a",))
    queue.send_in_turn(b"2")
    queue.places.extend((b"b",))

    queue.settle(1)
    assert sent == []
    queue.fulfil(first)
    assert sent == [b"1a2"]
    queue.settle(1)
    assert sent == [b"1a2", b"b"]


def test_a_reading_that_needs_more_is_told_and_leaves_when_it_is_fulfilled():
    queue, sent = make_queue()
    reading = Reading(b"1")
    queue.places.extend((b"a",))
    queue.expect(reading)
    queue.places.extend((b"b",))

    queue.settle(3)
    assert reading.events == ["settled"]
    assert sent == [b"a"]
    queue.fulfil(reading)
    assert sent == [b"a", b"1b"]


def test_a_refused_reading_is_answered_in_its_turn():
    queue, sent = make_queue()
    reading = Reading(b"1")
    queue.places.extend((b"a",))
    queue.places.extend((b"b",))
    queue.expect(reading)
    queue.places.extend((b"",))

    queue.settle(1)
    queue.refuse(POISON)
    assert sent == [b"a", b"B"]
    queue.refuse(POISON)
    assert reading.events == ["not JSON"]
    queue.fulfil(reading)
    queue.refuse(POISON)
    assert sent == [b"a", b"B", b"1"]
    assert len(queue.places) == 0
