"""Packet ids stand beside the readings of their messages: both or neither, until they are forgotten."""

import asyncio
from collections.abc import Callable
from functools import partial

from gateway.errors import Rejected, RejectReason
from gateway.model.observation import Measured
from gateway.readings import commit_queue
from gateway.readings.store import ReadingsStore
from ledger.types.reading import Quantity
from tests.support.readings import PROFILE, ManualClock, Outcomes, take

OpenStore = Callable[[ManualClock], ReadingsStore]
METER, OTHER = ("meter", "client"), ("meter", "c" * 256)


def measured(value: int, name: str = "power_w") -> Measured:
    return Measured((Quantity(name, value, 0, "W"),), None)


class Publisher:
    """Hands readings over as the broker does; each is answered on `answers`."""

    def __init__(self, store: ReadingsStore) -> None:
        store.register_device("meter", PROFILE)
        self.store = store
        self.exchanges = store.exchanges
        self.exchanges.load([METER, OTHER])
        self.answers: asyncio.Queue[Rejected | None] = asyncio.Queue()
        self._source = Outcomes(self.answers.put_nowait)

    def publish(self, packet_id: int, device: str = "meter", what: Measured | None = None) -> None:
        note = partial(self.exchanges.note, METER, packet_id)
        take(self.store, self._source, device, [what or measured(packet_id)], note)

    async def forget(self, packet_id: int) -> None:
        forgotten = asyncio.Event()
        self.exchanges.forget(METER, packet_id, forgotten.set)
        await forgotten.wait()


async def test_a_packet_id_is_on_disk_with_its_reading_until_it_is_forgotten(
    open_store: OpenStore, any_clock: ManualClock
):
    publisher = Publisher(open_store(any_clock))
    for packet_id in (1, 2, 3):
        publisher.publish(packet_id)
        assert await publisher.answers.get() is None
    await publisher.forget(2)
    publisher.store.close()

    store = open_store(any_clock)
    assert store.exchanges.load([METER, OTHER]) == {METER: frozenset({1, 3})}
    assert [one.reading.quantities[0].value for one in store.last("meter", 9)] == [1, 2, 3]


async def test_a_reading_that_is_not_stored_leaves_no_packet_id(
    store: ReadingsStore, clock: ManualClock
):
    publisher = Publisher(store)
    too_large = Measured(tuple(Quantity("q" * 64, 1, 0, "W") for _ in range(600)), None)
    publisher.publish(1, "ghost")
    publisher.publish(2, what=too_large)
    publisher.publish(3)

    answers = [await publisher.answers.get() for _ in range(3)]
    assert [one and one.reason for one in answers] == [
        RejectReason.UNKNOWN_DEVICE,
        RejectReason.TOO_LARGE,
        None,
    ]
    assert store.exchanges.load([METER]) == {METER: frozenset({3})}


async def test_each_commit_holds_as_many_packet_ids_as_readings(store: ReadingsStore, monkeypatch):
    monkeypatch.setattr(commit_queue, "GROUP_READINGS_MAX", 3)
    publisher = Publisher(store)
    seen = []

    def count(statement: str) -> None:
        if statement.startswith("COMMIT"):
            seen.append(store._writer.execute("SELECT count(*) FROM exchange").fetchone()[0])

    store._writer.set_trace_callback(count)
    for packet_id in range(1, 8):
        publisher.publish(packet_id)
    for _ in range(7):
        await publisher.answers.get()
    store._writer.set_trace_callback(None)

    assert seen == [3, 6, 7]


async def test_a_session_that_is_over_is_forgotten_and_so_is_one_that_nobody_knows(
    store: ReadingsStore,
):
    publisher = Publisher(store)
    exchanges = store.exchanges
    publisher.publish(1)
    exchanges.note(OTHER, 7)
    publisher.publish(2)
    assert [await publisher.answers.get() for _ in range(2)] == [None, None]
    gone = asyncio.Event()
    exchanges.forget_session(METER, gone.set)
    await gone.wait()

    assert exchanges.load([METER, OTHER]) == {OTHER: frozenset({7})}
    assert exchanges.load([METER]) == {}
    assert exchanges.load([METER, OTHER]) == {}


async def test_what_a_session_writes_after_it_was_forgotten_is_its_successors(store: ReadingsStore):
    publisher = Publisher(store)
    publisher.publish(1)
    store.exchanges.forget_session(METER, lambda: None)
    publisher.publish(2)
    assert [await publisher.answers.get() for _ in range(2)] == [None, None]

    assert store.exchanges.load([METER]) == {METER: frozenset({2})}


async def test_nothing_is_told_where_nothing_is_written_any_more(store: ReadingsStore):
    publisher = Publisher(store)
    store.close()

    publisher.exchanges.forget(METER, 1, lambda: told.append("forgotten"))
    publisher.exchanges.forget_session(METER, lambda: told.append("session"))
    told: list[str] = []
    await asyncio.sleep(0)

    assert told == []
