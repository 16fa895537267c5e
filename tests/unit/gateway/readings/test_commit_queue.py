import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import Rejected, RejectReason, StoreError
from gateway.model.observation import Measured, Observation, StoredReading
from gateway.readings import commit_queue
from gateway.readings.commit_group import GROWING_TURNS_MAX
from gateway.readings.commit_queue import (
    GROUP_BYTES_MAX,
    GROUP_READINGS_MAX,
    QUEUE_GROUPS_MAX,
)
from gateway.readings.pages import read_log
from gateway.readings.store import ReadingsStore
from gateway.readings.writer_choice import SLOW_COMMITS, THREAD_GROUPS
from ledger.codec import canonical
from ledger.types.reading import Quantity
from tests.support.readings import (
    PROFILE,
    Answers,
    ManualClock,
    Outcomes,
    anchor,
    next_batch,
    power,
    store_run,
    take,
)

OpenStore = Callable[[ManualClock], ReadingsStore]
MEASURED = Measured((Quantity("power_w", 5, -1, "W"),), 123)
QUEUE_READINGS_MAX = GROUP_READINGS_MAX * QUEUE_GROUPS_MAX


def refuse_to_grow(store: ReadingsStore) -> None:
    """Let the database file take no further page: the next larger commit meets SQLITE_FULL."""
    pages = store._writer.execute("PRAGMA page_count").fetchone()[0]
    store._writer.execute(f"PRAGMA max_page_count = {pages}").close()


def refuse_to_write(store: ReadingsStore) -> None:
    """Let every write fail from now on, and not for want of room."""
    store._writer.execute("PRAGMA query_only = ON").close()


class CountingLoop:
    """The event loop, to see how often the queue tried again."""

    def __init__(self, count: int) -> None:
        self.has_counted = asyncio.Event()
        self._left = count
        self._loop = asyncio.get_running_loop()

    def call_soon(self, *arguments: Any) -> None:
        self._loop.call_soon(*arguments)

    def call_later(self, delay_s: float, *arguments: Any) -> None:
        self._loop.call_later(delay_s, *arguments)
        self._left -= 1
        if not self._left:
            self.has_counted.set()


def sequences_of(stored: list[StoredReading | Rejected]) -> list[int]:
    return [one.reading.sequence for one in stored if isinstance(one, StoredReading)]


async def test_what_comes_faster_than_the_disk_is_refused_and_the_rest_is_stored(
    open_store: OpenStore, any_clock: ManualClock
):
    store = open_store(any_clock)
    store.register_device("meter", PROFILE)
    answers = Answers(store)
    for value in range(QUEUE_READINGS_MAX + 10):
        answers.submit(power("meter", value))
    await answers.wait()

    refused = [one for one in answers.all if isinstance(one, Rejected)]
    assert [one.reason for one in refused] == [RejectReason.OVERLOADED] * 10
    assert store.devices()[0].next_sequence == QUEUE_READINGS_MAX + 1
    [following] = await store_run(store, "meter", 1)
    assert following.reading.sequence == QUEUE_READINGS_MAX + 1


async def test_large_readings_are_bounded_by_their_bytes(store: ReadingsStore):
    store.register_device("meter", PROFILE)
    wide = tuple(Quantity(f"q{number}_{'x' * 44}", 2**62, 0, "u" * 16) for number in range(64))
    answers = Answers(store)
    for _ in range(5000):
        answers.submit(Observation("meter", wide))
    await answers.wait()

    sizes = [len(one.encoded) for one in answers.all if isinstance(one, StoredReading)]
    assert len(sizes) < 5000
    group_bytes = sum(sizes) / QUEUE_GROUPS_MAX
    assert GROUP_BYTES_MAX <= group_bytes < GROUP_BYTES_MAX + max(sizes)


async def find_writing_thread(store: ReadingsStore) -> str:
    return await store._queue.run(lambda _: threading.current_thread().name)


async def test_a_thread_writes_where_commits_are_slow_and_the_loop_where_they_are_fast(
    open_store: OpenStore,
):
    clock = ManualClock(commit_ns=20_000_000)
    store = open_store(clock)
    loop = threading.current_thread().name

    assert [await find_writing_thread(store) for _ in range(SLOW_COMMITS)] == [loop] * SLOW_COMMITS
    slow = [await find_writing_thread(store) for _ in range(THREAD_GROUPS)]
    assert set(slow) == {"readings_0"}
    assert await find_writing_thread(store) == loop  # one try, slow still
    assert await find_writing_thread(store) == "readings_0"

    clock.commit_ns = 0
    later = [await find_writing_thread(store) for _ in range(THREAD_GROUPS + 10)]
    assert later[-10:] == [loop] * 10


async def test_order_is_kept_between_groups_of_the_thread(open_store: OpenStore):
    store = open_store(ManualClock(commit_ns=20_000_000))
    store.register_device("meter", PROFILE)
    answers = Answers(store)
    for value in range(GROUP_READINGS_MAX * 8 + 7):
        answers.submit(power("meter", value))
        if value % 501 == 0:
            await asyncio.sleep(0)

    got = [one.reading.sequence for one in await answers.wait() if isinstance(one, StoredReading)]
    assert got == list(range(1, GROUP_READINGS_MAX * 8 + 8))


async def test_a_callers_bug_leaves_no_other_caller_without_an_answer(store: ReadingsStore):
    store.register_device("meter", PROFILE)
    reported: list[BaseException] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: reported.append(context["exception"])
    )
    answers = Answers(store)

    def fail(_: StoredReading | Rejected) -> None:
        raise ZeroDivisionError

    answers.submit(power("meter", 1))
    store.submit(power("meter", 2), fail)
    answers.submit(power("meter", 3))

    assert [one.reading.sequence for one in await answers.wait() if isinstance(one, StoredReading)]
    assert len(answers.all) == 2
    assert [type(error) for error in reported] == [ZeroDivisionError]


async def test_a_full_disk_is_waited_for_and_nothing_is_answered_meanwhile(
    open_store: OpenStore, any_clock: ManualClock, path: Path, monkeypatch, caplog
):
    monkeypatch.setattr(commit_queue, "FULL_DISK_RETRY_S", 0.001)
    store = open_store(any_clock)
    store.register_device("meter", PROFILE)
    await store_run(store, "meter", 10)
    refuse_to_grow(store)
    answers = Answers(store)
    for value in range(3 * GROUP_READINGS_MAX):
        answers.submit(power("meter", value))
    noted = asyncio.Event()
    store._queue.add_job(lambda _: None, noted.set)
    loop = CountingLoop(3)
    monkeypatch.setattr(store._queue, "_loop", loop)
    await loop.has_counted.wait()  # it was tried again

    assert answers.all == []
    assert store.problem == (
        f"readings store {path}: the disk is full: free some space; "
        "nothing is acknowledged until then"
    )
    assert store.failure is None

    store._writer.execute("PRAGMA max_page_count = 1000000").close()
    stored = await answers.wait()
    await noted.wait()
    assert sequences_of(stored) == list(range(11, 11 + 3 * GROUP_READINGS_MAX))
    assert store.problem == ""
    assert [one.message for one in caplog.records if "disk" in one.message] == [
        f"readings store {path}: the disk is full: free some space; nothing is acknowledged until then",
        "readings are stored again: there is room on the disk",
    ]
    assert len(store.last("meter", 10_000)) == 10 + 3 * GROUP_READINGS_MAX


async def test_who_stops_with_a_full_disk_is_refused_and_loses_nothing_answered(
    open_store: OpenStore, any_clock: ManualClock
):
    store = open_store(any_clock)
    store.register_device("meter", PROFILE)
    kept = await store_run(store, "meter", 10)
    refuse_to_grow(store)
    answers = Answers(store)
    for value in range(GROUP_READINGS_MAX):
        answers.submit(power("meter", value))
    store.close()

    assert {one.reason for one in await answers.wait() if isinstance(one, Rejected)} == {
        RejectReason.STORE_FAILED
    }
    assert open_store(any_clock).range("meter", 1, 10_000) == kept


async def test_a_failed_write_refuses_everything_from_then_on_and_loses_nothing_answered(
    open_store: OpenStore, any_clock: ManualClock, path: Path
):
    store = open_store(any_clock)
    store.register_device("meter", PROFILE)
    kept = await store_run(store, "meter", 10)
    watcher = asyncio.ensure_future(store.watch())
    refuse_to_write(store)
    answers = Answers(store)
    for value in range(3 * GROUP_READINGS_MAX):
        answers.submit(power("meter", value))
    await answers.wait()

    assert all(isinstance(one, Rejected) for one in answers.all)
    assert {str(one) for one in answers.all} == {
        f"store-failed: readings store {path}: attempt to write a readonly database: "
        "check the file and its folder"
    }
    with pytest.raises(StoreError, match="readonly"):
        await watcher
    assert store.failure is not None
    late = Answers(store)
    late.submit(power("meter", 1))
    assert [type(one) for one in await late.wait()] == [Rejected]
    with pytest.raises(StoreError, match="readonly"):
        await store.save_transaction(anchor(1))
    with pytest.raises(StoreError, match="readonly"):
        store.register_device("other", PROFILE)
    store.close()

    reopened = open_store(any_clock)
    assert reopened.range("meter", 1, 10_000) == kept
    [following] = await store_run(reopened, "meter", 1)
    assert following.reading.sequence == 11


async def test_a_batch_and_its_anchor_are_kept_both_or_neither(
    open_store: OpenStore, clock: ManualClock
):
    store = open_store(clock)
    store.register_device("meter", PROFILE)
    await store_run(store, "meter", 10)
    batch = next_batch(store, "meter", 10)
    refuse_to_write(store)
    with pytest.raises(StoreError, match="readonly"):
        await store.save_batch("meter", batch, anchor(1, raw=bytes(100_000)))
    store.close()

    reopened = open_store(clock)
    assert reopened.pending_transactions() == []
    assert reopened.newest_batch("meter") is None
    await reopened.save_batch("meter", batch, anchor(1, raw=bytes(100_000)))
    assert reopened.newest_batch("meter") is not None
    assert [entry.raw for entry in reopened.pending_transactions()] == [bytes(100_000)]


async def test_a_bug_in_a_job_ends_the_store_instead_of_hanging_it(store: ReadingsStore):
    store.register_device("meter", PROFILE)
    asyncio.get_running_loop().set_exception_handler(lambda _, context: None)
    answers = Answers(store)
    answers.submit(power("meter", 1))
    with pytest.raises(StoreError, match="internal error: ZeroDivisionError"):
        await store._queue.run(lambda connection: 1 // 0)

    assert [type(one) for one in await answers.wait()] == [Rejected]
    assert store.get("meter", 1) is None


async def test_a_source_is_answered_in_the_order_in_which_it_handed_over(
    open_store: OpenStore, any_clock: ManualClock
):
    store = open_store(any_clock)
    store.register_device("meter", PROFILE)
    told: list[str] = []
    source = Outcomes(lambda refusal: told.append("stored" if refusal is None else str(refusal)))
    expected = []
    for number in range(3 * GROUP_READINGS_MAX):
        if number % 7 == 3:
            refusal = Rejected(RejectReason.MALFORMED, f"{number}")
            take(store, source, "meter", [refusal])
            expected.append(str(refusal))
        else:
            take(store, source, "meter", [MEASURED])
            expected.append("stored")
        if number % 501 == 0:
            await asyncio.sleep(0)
    assert told == expected[: len(told)], "and never while it hands over"
    await store.prune(None)  # a job of a later commit
    assert told == expected
    stored = store.range("meter", 1, 10_000)
    assert len(stored) == store.stored == expected.count("stored")
    assert stored[0].encoded == canonical.encode(stored[0].reading)
    assert stored[0].reading.quantities == MEASURED.quantities
    assert store.take_news() == {"meter": stored[-1].reading}
    assert store.take_news() == {}


async def test_one_answer_tells_all_that_a_source_stored_in_a_commit(store: ReadingsStore):
    class Counting:
        def __init__(self) -> None:
            self.counts: list[int] = []

        def settled(self, count: int) -> None:
            self.counts.append(count)

        def refused(self, refusal: Rejected) -> None:
            raise AssertionError(refusal)

    store.register_device("meter", PROFILE)
    sources = [Counting(), Counting()]
    for _ in range(5):
        for source in sources:
            take(store, source, "meter", [MEASURED])
    take(store, sources[0], "meter", [None])
    await store.prune(None)
    assert [source.counts for source in sources] == [[6], [5]]


async def test_what_is_handed_over_in_one_go_is_written_in_commits_of_bounded_size(
    store: ReadingsStore,
):
    store.register_device("meter", PROFILE)
    told: list[Rejected | None] = []
    source = Outcomes(told.append)
    poison = Rejected(RejectReason.MALFORMED, "poison")
    count = 2 * GROUP_READINGS_MAX + 10
    take(store, source, "meter", [MEASURED] * count)
    take(store, source, "meter", [poison, MEASURED])
    sizes = [group.count for group in store._queue._groups]
    assert max(sizes) <= GROUP_READINGS_MAX
    assert sum(sizes) == count + 1
    await store.prune(None)
    assert told == [*[None] * count, poison, None]
    stored = store.range("meter", 1, 10_000)
    assert [one.reading.sequence for one in stored] == list(range(1, count + 2))


async def test_a_commit_waits_while_each_turn_brings_readings_but_not_for_ever(
    store: ReadingsStore,
):
    store.register_device("meter", PROFILE)
    counts: list[int] = []

    class Counting:
        def settled(self, count: int) -> None:
            counts.append(count)

        def refused(self, refusal: Rejected) -> None:
            raise AssertionError(refusal)

    source = Counting()

    async def take_in_turns(turns: int) -> None:
        for _ in range(turns):
            for _ in range(2):
                take(store, source, "meter", [MEASURED])
            await asyncio.sleep(0)

    await take_in_turns(3)
    assert counts == [], "each turn brought some"
    await store.prune(None)
    assert counts == [6]

    counts.clear()
    await take_in_turns(4 * GROWING_TURNS_MAX)
    assert len(counts) > 1
    assert max(counts) <= 2 * (GROWING_TURNS_MAX + 1)


async def test_a_lone_reading_is_committed_at_once(store: ReadingsStore):
    store.register_device("meter", PROFILE)
    told: list[Rejected | None] = []
    take(store, Outcomes(told.append), "meter", [MEASURED])
    await asyncio.sleep(0)
    assert told == [None]


async def test_what_was_handed_over_to_a_store_that_fails_is_refused_in_order(
    store: ReadingsStore,
):
    store.register_device("meter", PROFILE)
    refuse_to_write(store)
    told: list[RejectReason | None] = []
    source = Outcomes(lambda refusal: told.append(None if refusal is None else refusal.reason))
    for number in range(600):
        if number == 300:
            take(store, source, "meter", [Rejected(RejectReason.MALFORMED, "poison")])
        else:
            take(store, source, "meter", [MEASURED])
    await store._queue.failed.wait()
    failed = RejectReason.STORE_FAILED
    assert told == [failed] * 300 + [RejectReason.MALFORMED] + [failed] * 299

    take(store, source, "meter", [MEASURED])
    take(store, source, "meter", [None])
    assert len(told) == 600
    await asyncio.sleep(0)
    assert told[600:] == [failed] * 2


async def test_a_reading_that_is_too_large_or_of_nobody_takes_no_sequence(store: ReadingsStore):
    store.register_device("meter", PROFILE)
    wide = tuple(Quantity(f"q{number}_{'x' * 44}", 2**62, 0, "€" * 16) for number in range(64))
    told: list[RejectReason | None] = []
    source = Outcomes(lambda refusal: told.append(None if refusal is None else refusal.reason))
    take(store, source, "meter", [Measured(wide * 2)])
    take(store, source, "nobody", [MEASURED])
    take(store, source, "meter", [MEASURED])
    await store.prune(None)
    assert told == [RejectReason.TOO_LARGE, RejectReason.UNKNOWN_DEVICE, None]
    assert [one.reading.sequence for one in store.last("meter", 5)] == [1]


def count_readings(connection: sqlite3.Connection) -> int:
    return sum(len(run.readings) for run in read_log(connection).values())


async def test_patient_jobs_are_committed_with_the_next_reading(store: ReadingsStore):
    store.register_device("meter", PROFILE)
    await store_run(store, "meter", 4)
    batch = next_batch(store, "meter", 2)
    saved = asyncio.create_task(store.save_batch("meter", batch, anchor(1), patience_s=600))
    seen = asyncio.create_task(store._queue.run(count_readings, patience_s=600))
    for _ in range(10):
        await asyncio.sleep(0)
    assert store.newest_batch("meter") is None

    await store_run(store, "meter", 1)
    await saved
    assert await seen == 5, "in the commit of that reading"
    assert store.newest_batch("meter") is not None


async def test_patience_ends(store: ReadingsStore):
    store.register_device("meter", PROFILE)
    await store_run(store, "meter", 2)
    batch = next_batch(store, "meter", 2)
    long = asyncio.create_task(store.save_batch("meter", batch, anchor(1), patience_s=600))
    await asyncio.sleep(0)
    await store._queue.run(lambda _: None, patience_s=0.001)
    await long
    assert store.newest_batch("meter") is not None


async def test_patient_jobs_are_committed_at_the_end(open_store: OpenStore, any_clock: ManualClock):
    store = open_store(any_clock)
    store.register_device("meter", PROFILE)
    await store_run(store, "meter", 2)
    batch = next_batch(store, "meter", 2)
    saved = asyncio.create_task(store.save_batch("meter", batch, anchor(1), patience_s=600))
    await asyncio.sleep(0)
    store.close()
    await saved

    assert [one.raw for one in open_store(any_clock).pending_transactions()] == [b"raw"]


async def test_patient_jobs_hear_of_a_failure(store: ReadingsStore):
    store.register_device("meter", PROFILE)
    await store_run(store, "meter", 2)
    batch = next_batch(store, "meter", 2)
    saved = asyncio.create_task(store.save_batch("meter", batch, anchor(1), patience_s=600))
    await asyncio.sleep(0)
    refuse_to_write(store)
    with pytest.raises(StoreError, match="readonly"):
        await store.save_transaction(anchor(2))
    with pytest.raises(StoreError, match="readonly"):
        await saved
