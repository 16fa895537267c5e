"""Acknowledgements in order of arrival, whatever the order in which they become ready."""

from gateway.broker.acknowledgements import AcknowledgementQueue, Place


def test_the_first_place_holds_back_the_others():
    sent: list[bytes] = []
    queue = AcknowledgementQueue(sent.append)
    first, second = Place(b"1"), Place(b"2")
    queue.expect(first)
    queue.expect(second)
    queue.send_in_turn(b"3")

    queue.fulfil(second)
    assert sent == []
    assert len(queue) == 3

    queue.fulfil(first)
    assert sent == [b"1", b"2", b"3"]
    assert len(queue) == 0


def test_nothing_waits_without_need():
    sent: list[bytes] = []
    queue = AcknowledgementQueue(sent.append)

    queue.send_in_turn(b"1")

    assert sent == [b"1"]
