"""What arrives in one turn of the event loop goes to the sink in one call of the next."""

import asyncio

from gateway.broker.collector import Collector
from gateway.ports import DeviceMessages, StoreNote
from tests.support.readings import Outcomes


class Sink:
    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def accept(self, messages):
        self.calls.append([one.device for one in messages])


def nobody_answers(outcome):
    raise AssertionError(outcome)


def one_of(device: str, note: StoreNote | None = None) -> tuple[DeviceMessages, ...]:
    return (DeviceMessages(Outcomes(nobody_answers), device, "up", [b"{}"], note),)


async def test_messages_of_a_turn_are_handed_over_together_in_the_next():
    sink = Sink()
    collector = Collector(sink)
    collector.accept(one_of("a"))
    collector.accept(one_of("b"))
    assert sink.calls == []
    await asyncio.sleep(0)
    assert sink.calls == [["a", "b"]]

    collector.accept(one_of("c"))
    await asyncio.sleep(0)
    assert sink.calls == [["a", "b"], ["c"]]


async def test_what_was_handed_over_at_once_is_not_handed_over_again():
    sink = Sink()
    collector = Collector(sink)
    collector.accept(one_of("a"))
    collector.hand_over()
    await asyncio.sleep(0)
    assert sink.calls == [["a"]]


async def test_a_message_with_a_note_goes_at_once_behind_what_was_kept():
    sink = Sink()
    collector = Collector(sink)
    collector.accept(one_of("a"))
    collector.accept(one_of("b", lambda: None))
    assert sink.calls == [["a", "b"]]
    await asyncio.sleep(0)
    assert sink.calls == [["a", "b"]]
