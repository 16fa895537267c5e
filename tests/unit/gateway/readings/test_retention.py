"""Retention on a store in use: it ends below its limits, and drops nothing that is still needed."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.readings import retention
from gateway.readings.pages import read_log
from gateway.readings.records import OutboxEntry, SettlementStatus
from gateway.readings.store import RETENTION_MS, ReadingsStore
from tests.support.readings import (
    PROFILE,
    Answers,
    ManualClock,
    anchor,
    next_batch,
    power,
    store_run,
)

OpenStore = Callable[[ManualClock], ReadingsStore]


@pytest.fixture(autouse=True)
def meter(store: ReadingsStore) -> None:
    store.register_device("meter", PROFILE)


async def save_batches(
    store: ReadingsStore, *numbers: int, device: str = "meter", count: int = 2
) -> None:
    for number in numbers:
        await store_run(store, device, count)
        await store.save_batch(
            device, next_batch(store, device, count), anchor(number, raw=bytes(1_000))
        )


async def finish(store: ReadingsStore, *numbers: int) -> None:
    for number in numbers:
        await store.mark_batch_final(anchor(number).transaction_id, number, b"proof")


def count_rows(store: ReadingsStore) -> dict[str, int]:
    ask = store._writer.execute
    rows = {
        table: ask(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for table in ("batch", "outbox")
    }
    logged = sum(len(run.readings) for run in read_log(store._writer).values())
    return rows | {"reading": ask("SELECT TOTAL(count) FROM page").fetchone()[0] + logged}


async def test_pruning_goes_on_until_nothing_is_over_the_limits(
    store: ReadingsStore, clock: ManualClock
):
    numbers = range(1, 3 * retention.CHUNK_BATCHES + 2)
    await save_batches(store, *numbers)
    await finish(store, *numbers)
    clock.time_ms += RETENTION_MS + 1

    pruned = await store.prune(clock.time_ms)

    assert (pruned.batches, pruned.readings) == (len(numbers), 2 * len(numbers))
    assert store.last("meter", 10) == []


async def test_new_readings_are_stored_between_the_chunks(
    store: ReadingsStore, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(retention, "CHUNK_BATCHES", 1)
    await save_batches(store, *range(1, 31))
    await finish(store, *range(1, 31))
    pruning = asyncio.ensure_future(store.prune(None, bytes_max=0))
    answers = Answers(store)
    await asyncio.sleep(0)
    answers.submit(power("meter", 1))
    await answers.wait()

    assert not pruning.done()
    assert (await pruning).batches == 30
    assert [one.reading.sequence for one in store.last("meter", 10)] == [61]


async def test_without_a_trusted_clock_only_the_size_counts(
    store: ReadingsStore, clock: ManualClock
):
    await save_batches(store, 1, 2)
    await finish(store, 1, 2)
    clock.time_ms += 10 * RETENTION_MS

    assert (await store.prune(None)).batches == 0
    assert (await store.prune(None, bytes_max=0)).batches == 2


async def test_rows_of_what_is_pruned_go_too_and_the_newest_final_batch_stays(
    store: ReadingsStore,
):
    store.register_device("other", PROFILE)
    await save_batches(store, 1, 2, 3)
    await save_batches(store, 4, 5, device="other")
    await finish(store, 1, 2, 3, 4)

    await store.prune(None, bytes_max=0)

    # Left: each device's newest final batch, and what is not final, with its readings.
    assert [(one.device, one.first) for one in store.batches(SettlementStatus.FINAL)] == [
        ("meter", 5),
        ("other", 1),
    ]
    assert [(one.device, one.first) for one in store.batches(SettlementStatus.PENDING)] == [
        ("other", 3)
    ]
    assert count_rows(store) == {"reading": 2, "batch": 3, "outbox": 3}


async def test_a_kept_batch_goes_when_a_later_one_is_final(store: ReadingsStore):
    await save_batches(store, 1)
    await finish(store, 1)
    await store.prune(None, bytes_max=0)
    await save_batches(store, 2)
    assert [one.first for one in store.batches(SettlementStatus.FINAL)] == [1]
    await finish(store, 2)

    assert [one.first for one in store.batches(SettlementStatus.FINAL)] == [3]
    assert count_rows(store) == {"reading": 2, "batch": 1, "outbox": 1}


async def test_a_failure_after_pruning_goes_back_to_the_kept_batch(
    store: ReadingsStore, open_store: OpenStore, clock: ManualClock
):
    await save_batches(store, 1, 2)
    await finish(store, 1)
    await store.prune(None, bytes_max=0)
    await store.mark_batch_failed(anchor(2).transaction_id, 9)
    await store.prune(None, bytes_max=0)
    store.close()
    store = open_store(clock)

    newest = store.newest_batch("meter")
    assert newest is not None
    assert (newest.first, newest.transaction_id) == (1, anchor(1).transaction_id)
    assert [one.reading.sequence for one in store.unanchored("meter", 10)] == [3, 4]
    assert store.devices()[0].next_sequence == 5


async def test_settled_transactions_go_by_age_and_pending_ones_never(
    store: ReadingsStore, clock: ManualClock
):
    entries = [OutboxEntry(bytes([n]) * 32, b"call", 50, "record") for n in (11, 12, 13, 14)]
    for entry in entries:
        await store.save_transaction(entry)
    await save_batches(store, 1, 2)
    await finish(store, 1)
    await store.mark_batch_failed(anchor(2).transaction_id, 3)
    await store.mark_transaction(entries[0].transaction_id, SettlementStatus.FINAL, 3)
    await store.mark_transaction(entries[1].transaction_id, SettlementStatus.FAILED, 3)
    clock.time_ms += RETENTION_MS + 1
    await store.mark_transaction(entries[2].transaction_id, SettlementStatus.FINAL, 4)
    await store.save_transaction(OutboxEntry(bytes(32), b"young", 50, "record"))
    await store.mark_transaction(bytes(32), SettlementStatus.FINAL, 4)

    pruned = await store.prune(clock.time_ms)

    assert pruned.transactions == 4  # two calls final, one failed, and the failed anchor
    assert store.batches(SettlementStatus.FAILED) == []
    assert store.pending_transactions() == [entries[3]]
    # Left: that one, the young one, and the newest final batch's anchor.
    assert count_rows(store) == {"reading": 2, "batch": 1, "outbox": 3}


async def test_over_the_size_settled_transactions_go_before_readings(store: ReadingsStore):
    await save_batches(store, *range(1, 11), count=200)
    await finish(store, *range(1, 11))
    before = (await store.prune(None)).bytes_used
    for number in range(100, 300):
        entry = OutboxEntry(number.to_bytes(32, "big"), bytes(4_000), 50, "record")
        await store.save_transaction(entry)
        await store.mark_transaction(entry.transaction_id, SettlementStatus.FINAL, 4)

    pruned = await store.prune(None, bytes_max=before + 100_000)

    assert pruned.batches == 0
    assert 0 < pruned.transactions < 200
    assert pruned.bytes_used <= before + 100_000


async def test_the_database_stays_within_its_bytes_over_many_rounds(store: ReadingsStore):
    bytes_max = 400_000
    for round_ in range(30):
        numbers = range(round_ * 10 + 1, round_ * 10 + 11)
        await save_batches(store, *numbers)
        await finish(store, *numbers)
        pruned = await store.prune(None, bytes_max=bytes_max)
        assert pruned.bytes_used <= bytes_max

    # What made room were old batches: the newest ones can still be proved.
    assert store.batch_containing("meter", 1) is None
    newest = store.next_final_batch("meter", 590)
    assert newest is not None
    assert len(store.range("meter", newest.first, newest.count)) == newest.count


async def test_the_next_final_batch_is_found_over_what_was_pruned(
    store: ReadingsStore, clock: ManualClock
):
    store.register_device("other", PROFILE)
    await save_batches(store, 1, 2)
    await finish(store, 1, 2)
    clock.time_ms += RETENTION_MS + 1
    await save_batches(store, 3, 4, 5)
    await finish(store, 3, 4)
    await save_batches(store, 6, device="other")
    await finish(store, 6)

    def find(after: int) -> int | None:
        found = store.next_final_batch("meter", after)
        return None if found is None else found.first

    assert [find(after) for after in range(5)] == [1, 1, 3, 3, 5]
    await store.prune(clock.time_ms)
    assert [find(after) for after in (0, 3, 5, 6, 7)] == [5, 5, 5, 7, 7]
    assert [find(after) for after in (8, 9, 2**63 - 1)] == [None, None, None]
    await store.prune(None, bytes_max=0)
    assert find(0) is None


@pytest.mark.parametrize(
    "work",
    [
        lambda store: store.prune(None, bytes_max=0),
        lambda store: finish(store, 302),
        lambda store: store.mark_batch_failed(anchor(303).transaction_id, 9),
    ],
    ids=["prune", "final", "failed"],
)
async def test_no_statement_reads_all_batches(
    store: ReadingsStore, work: Callable[[ReadingsStore], Awaitable[object]]
):
    await save_batches(store, *range(1, 305), count=1)
    await finish(store, *range(1, 302))
    ran: list[str] = []
    store._writer.set_trace_callback(ran.append)
    await work(store)
    store._writer.set_trace_callback(None)

    for statement in {one for one in ran if "batch" in one}:
        plans = store._writer.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
        steps = [plan[3] for plan in plans]
        assert not [one for one in steps if "SCAN" in one and "INDEX" not in one], statement
        assert "USE TEMP B-TREE FOR ORDER BY" not in steps, statement
