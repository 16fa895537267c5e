import asyncio
import random
from collections.abc import Callable

import pytest

from gateway.errors import StoreError
from gateway.pipeline.batch import Backlog
from gateway.readings.records import OutboxEntry, Pruned, SettlementStatus
from gateway.readings.store import RETENTION_MS, ReadingsStore
from tests.support.readings import (
    PROFILE,
    ManualClock,
    anchor,
    next_batch,
    store_run,
)

OpenStore = Callable[[ManualClock], ReadingsStore]
DAY_MS = 24 * 3_600_000


@pytest.fixture(autouse=True)
def meter(store: ReadingsStore) -> None:
    store.register_device("meter", PROFILE)


async def save_batches(store: ReadingsStore, *numbers: int, count: int = 10) -> None:
    """Store readings, and keep a batch of them, for each number."""
    for number in numbers:
        await store_run(store, "meter", count)
        await store.save_batch("meter", next_batch(store, "meter", count), anchor(number))


async def test_the_backlog_is_what_no_batch_holds(store: ReadingsStore, clock: ManualClock):
    assert store.backlog("meter") == Backlog(0, 0)
    first = await store_run(store, "meter", 3)
    began_ms = clock.time_ms
    clock.time_ms += 100
    second = await store_run(store, "meter", 2)

    assert store.backlog("meter") == Backlog(5, began_ms)
    assert store.unanchored("meter", 4) == [*first, second[0]]
    await store.save_batch("meter", next_batch(store, "meter", 3), anchor(1))
    assert store.backlog("meter") == Backlog(2, clock.time_ms)
    assert store.unanchored("meter", 10) == second


async def test_all_backlogs_are_known_without_asking_the_database(
    open_store: OpenStore, any_clock: ManualClock, store: ReadingsStore
):
    store.close()
    store = open_store(any_clock)
    names = [f"meter-{number}" for number in range(4)]
    for name in names:
        store.register_device(name, PROFILE)
    dice = random.Random(11)
    pending: dict[str, list[int]] = {name: [] for name in names}
    for number in range(1, 150):
        any_clock.time_ms += 10
        name = dice.choice(names)
        match dice.choice(["store", "store", "batch", "settle", "restart"]):
            case "store":
                await store_run(store, name, dice.randint(1, 5))
            case "batch" if store.backlog(name).count:
                count = dice.randint(1, store.backlog(name).count)
                await store.save_batch(name, next_batch(store, name, count), anchor(number))
                pending[name].append(number)
            case "settle" if pending[name]:
                transaction_id = anchor(pending[name].pop(0)).transaction_id
                if dice.random() < 0.5:
                    await store.mark_batch_final(transaction_id, 1, b"")
                else:
                    await store.mark_batch_failed(transaction_id, 1)
                    pending[name].clear()
            case "restart":
                store.close()
                store = open_store(any_clock)
            case _:
                pass  # nothing waits for that yet
        found = {name: store.backlog(name) for name in names}
        assert store.backlogs() == {name: one for name, one in found.items() if one.count}
        assert store.pending_count() == len(store.pending_transactions())
        assert store.pending_count() == sum(map(len, pending.values()))


async def test_a_backlog_is_right_after_its_saver_gave_up(store: ReadingsStore):
    await store_run(store, "meter", 3)
    saving = asyncio.ensure_future(
        store.save_batch("meter", next_batch(store, "meter", 3), anchor(1))
    )
    await asyncio.sleep(0)
    saving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await saving
    await store.save_transaction(anchor(2))  # is written after it

    assert store.newest_batch("meter") is not None
    assert store.backlogs() == {}


async def test_a_batch_is_kept_with_its_anchor(store: ReadingsStore):
    await store_run(store, "meter", 12)
    batch = next_batch(store, "meter", 10)
    await store.save_batch("meter", batch, anchor(1, raw=b"signed"))

    [record] = store.batches(SettlementStatus.PENDING)
    assert (record.device, record.device_id) == ("meter", batch.device_id)
    assert (record.first, record.count, record.last) == (1, 10, 10)
    assert (record.root, record.profile_hash) == (batch.root, PROFILE)
    assert (record.time_first_ms, record.time_last_ms) == (batch.time_first_ms, batch.time_last_ms)
    assert (record.transaction_id, record.raw_transaction) == (anchor(1).transaction_id, b"signed")
    assert (record.height, record.evidence) == (0, b"")
    assert store.newest_batch("meter") == record
    assert store.batch_containing("meter", 10) == record
    assert store.batch_containing("meter", 11) is None
    assert store.pending_transactions() == [anchor(1, raw=b"signed")]


async def test_a_final_batch_keeps_its_evidence_over_a_restart(
    store: ReadingsStore, open_store: OpenStore, clock: ManualClock
):
    await save_batches(store, 1, 2)
    await store.mark_batch_final(anchor(1).transaction_id, height=9, evidence=b"proof")
    store.close()
    store = open_store(clock)

    [final] = store.batches(SettlementStatus.FINAL)
    assert (final.first, final.height, final.evidence) == (1, 9, b"proof")
    assert [batch.first for batch in store.batches(SettlementStatus.PENDING)] == [11]
    assert store.pending_transactions() == [anchor(2)]


async def test_a_failed_batch_gives_its_readings_back_and_takes_later_ones_with_it(
    store: ReadingsStore,
):
    await save_batches(store, 1, 2, 3)
    await store.mark_batch_final(anchor(1).transaction_id, height=9, evidence=b"")
    await store.mark_batch_failed(anchor(2).transaction_id, height=10)

    assert [batch.first for batch in store.batches(SettlementStatus.FAILED)] == [11, 21]
    assert store.pending_transactions() == []
    assert store.backlog("meter").count == 20
    newest = store.newest_batch("meter")
    assert newest is not None
    assert newest.transaction_id == anchor(1).transaction_id
    await store.save_batch("meter", next_batch(store, "meter", 20), anchor(4))
    again = store.batch_containing("meter", 25)
    assert again is not None
    assert (again.first, again.transaction_id) == (11, anchor(4).transaction_id)


async def test_a_batch_must_follow_the_one_before_it(store: ReadingsStore):
    await store_run(store, "meter", 10)
    batch = next_batch(store, "meter", 10)
    await store.save_batch("meter", batch, anchor(1))
    with pytest.raises(StoreError, match="the batch of meter from 1 does not follow"):
        await store.save_batch("meter", batch, anchor(2))

    assert store.pending_transactions() == [anchor(1)]
    assert store.failure is None


async def test_a_settled_transaction_cannot_be_settled_again(store: ReadingsStore):
    await save_batches(store, 1)
    await store.mark_batch_final(anchor(1).transaction_id, height=9, evidence=b"")

    for settle in (
        store.mark_batch_final(anchor(1).transaction_id, height=8, evidence=b"other"),
        store.mark_batch_failed(anchor(1).transaction_id, height=8),
        store.mark_transaction(anchor(1).transaction_id, SettlementStatus.FAILED, 8),
        store.mark_transaction(anchor(7).transaction_id, SettlementStatus.FINAL, 8),
    ):
        with pytest.raises(StoreError, match="is not pending"):
            await settle
    assert store.batches(SettlementStatus.FINAL)[0].height == 9


async def test_the_outbox_keeps_order_and_bytes_until_settled(
    store: ReadingsStore, open_store: OpenStore, clock: ManualClock
):
    entries = [OutboxEntry(bytes([n]) * 32, b"raw-%d" % n, 50 + n, "record") for n in (5, 3, 9)]
    for entry in entries:
        await store.save_transaction(entry)
    await store.save_transaction(entries[0])
    assert store.pending_transactions() == entries
    await store.mark_transaction(entries[1].transaction_id, SettlementStatus.FINAL, 4)
    store.close()

    assert open_store(clock).pending_transactions() == [entries[0], entries[2]]


async def test_retention_drops_only_what_is_final_and_old(store: ReadingsStore, clock: ManualClock):
    await save_batches(store, 1)
    clock.time_ms += 2 * DAY_MS
    await save_batches(store, 2, 3)
    await store_run(store, "meter", 10)
    await store.mark_batch_final(anchor(1).transaction_id, height=1, evidence=b"one")
    await store.mark_batch_final(anchor(2).transaction_id, height=2, evidence=b"two")

    assert (await store.prune(clock.time_ms)).batches == 0
    clock.time_ms += RETENTION_MS - DAY_MS
    pruned = await store.prune(clock.time_ms)
    assert (pruned.batches, pruned.readings) == (1, 10)
    assert store.last("meter", 100)[0].reading.sequence == 11
    clock.time_ms += 30 * RETENTION_MS
    assert (await store.prune(clock.time_ms)).readings == 10
    assert [one.reading.sequence for one in store.last("meter", 100)] == list(range(21, 41))
    assert [batch.evidence for batch in store.batches(SettlementStatus.FINAL)] == [b"two"]
    assert await store.prune(clock.time_ms) == Pruned(0, 0, 0, (await store.prune(None)).bytes_used)


async def test_retention_by_size_drops_the_oldest_until_it_fits(store: ReadingsStore):
    await save_batches(store, *range(1, 11), count=200)
    for number in range(1, 11):
        await store.mark_batch_final(anchor(number).transaction_id, height=number, evidence=b"")
    full = (await store.prune(None)).bytes_used

    pruned = await store.prune(None, bytes_max=full * 2 // 3)

    assert 2 <= pruned.batches <= 5
    assert pruned.readings == pruned.batches * 200
    assert pruned.bytes_used <= full * 2 // 3
    assert store.last("meter", 5000)[0].reading.sequence == pruned.readings + 1
    assert store.last("meter", 1)[0].reading.sequence == 2000


async def test_sequences_go_on_after_every_reading_was_dropped(
    store: ReadingsStore, open_store: OpenStore, clock: ManualClock
):
    await save_batches(store, 1)
    await store.mark_batch_final(anchor(1).transaction_id, height=1, evidence=b"")
    await store.prune(clock.time_ms, bytes_max=0)
    assert store.last("meter", 100) == []
    store.close()
    store = open_store(clock)

    [following] = await store_run(store, "meter", 1)
    assert following.reading.sequence == 11
    assert store.backlog("meter").count == 1
