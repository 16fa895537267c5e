"""New readings stand in the log, older ones in pages; nobody who asks can tell."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.errors import Rejected, RejectReason, StoreError
from gateway.model.observation import Measured, StoredReading
from gateway.readings import commit_queue
from gateway.readings.pages import add_pages, drop_from_pages, read_log, read_pages
from gateway.readings.queries import ReadingsReader
from gateway.readings.runs import PAGE_READINGS_MAX, Run
from gateway.readings.schema import open_writer
from gateway.readings.store import ReadingsStore
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
MANY = 2 * PAGE_READINGS_MAX + 7


def logged(store: ReadingsStore) -> dict[int, int]:
    """Return how many readings of each device the log holds."""
    return {key: len(run.readings) for key, run in read_log(store._writer).items()}


@pytest.fixture
def small_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit_queue, "LOG_BYTES_MAX", 5_000)


@pytest.mark.usefixtures("small_log")
async def test_readings_stay_the_same_wherever_they_stand(
    open_store: OpenStore, any_clock: ManualClock, path: Path
):
    store = open_store(any_clock)
    reader = ReadingsReader.open(path)
    stored: dict[str, list[StoredReading]] = {"meter": [], "plug": []}
    for name in stored:
        store.register_device(name, PROFILE)
    in_log: list[int] = []
    for count in (1, 3, MANY, 2, 40, 1, 1):
        for name, kept in stored.items():
            kept.extend(await store_run(store, name, count))
            for asked in (store, reader):
                assert asked.range(name, 1, 2**40) == kept
                assert asked.last(name, 5) == kept[-5:]
                assert asked.last(name, 2**40) == kept
                assert asked.get(name, len(kept)) == kept[-1]
                assert asked.get(name, len(kept) + 1) is None
                assert asked.range(name, len(kept) - 3, 3) == kept[-4:-1]
                assert asked.backlog(name) == store.backlogs()[name]
                assert asked.backlog(name).count == len(kept)
        in_log.append(sum(logged(store).values()))
    assert 0 < max(in_log) < 60, "the log is folded when it is full"
    assert min(in_log) == 0
    assert store._writer.execute("SELECT COUNT(*) FROM page").fetchone()[0] > 4
    reader.close()
    store.close()

    reopened = open_store(any_clock)
    for name, kept in stored.items():
        assert reopened.range(name, 1, 2**40) == kept
        [following] = await store_run(reopened, name, 1)
        assert following.reading.sequence == len(kept) + 1


@pytest.mark.usefixtures("small_log")
async def test_a_fold_loses_nothing_when_the_process_dies_after_it(
    open_store: OpenStore, clock: ManualClock, path: Path, tmp_path: Path
):
    store = open_store(clock)
    store.register_device("meter", PROFILE)
    kept = await store_run(store, "meter", 20)
    for _ in range(30):
        kept += await store_run(store, "meter", 1)
        crashed = tmp_path / f"{len(kept)}.db"
        for suffix in ("", "-wal"):
            copy = crashed.with_name(crashed.name + suffix)
            copy.write_bytes(path.with_name(path.name + suffix).read_bytes())
        survivor = ReadingsStore.open(crashed, clock, bytes(32))
        assert survivor.range("meter", 1, 1000) == kept
        survivor.close()


async def test_batches_over_log_and_pages_are_anchored_in_order(
    store: ReadingsStore, clock: ManualClock
):
    store.register_device("meter", PROFILE)
    for number in range(1, 6):
        clock.time_ms += 10
        await store_run(store, "meter", 30)
        if number % 2:
            await store.prune(None)  # folds
    for number in range(1, 6):
        batch = next_batch(store, "meter", 30)
        assert batch.first == 30 * (number - 1) + 1
        await store.save_batch("meter", batch, anchor(number))
        backlog = store.backlog("meter")
        assert (store.backlogs().get("meter") or backlog) == backlog
        assert backlog.count == 150 - 30 * number


async def test_damage_that_a_commit_meets_afterwards_ends_the_store(store: ReadingsStore):
    store.register_device("meter", PROFILE)
    await store_run(store, "meter", 10)
    batch = next_batch(store, "meter", 5)
    await store.prune(None)  # folds
    store._writer.execute("UPDATE page SET readings = x'00'").close()

    with pytest.raises(StoreError, match=r"the file is damaged .the readings from 1"):
        await store.save_batch("meter", batch, anchor(1))
    assert store.failure is not None
    answers = Answers(store)
    answers.submit(power("meter", 1))
    [refused] = await answers.wait()
    assert isinstance(refused, Rejected)
    assert refused.reason is RejectReason.STORE_FAILED


async def test_a_clock_before_1970_makes_readings_that_can_be_read(
    store: ReadingsStore, clock: ManualClock
):
    clock.time_ms = -5_000
    store.register_device("meter", PROFILE)
    take(store, Outcomes(lambda _: None), "meter", [Measured((Quantity("power_w", 1, 0, "W"),))])
    await store_run(store, "meter", 1)
    assert [one.reading.gateway_time_ms for one in store.last("meter", 5)] == [0, 0]


def make_readings(first: int, last: int) -> list[tuple[int, bytes]]:
    return [(sequence, b"reading %d" % sequence) for sequence in range(first, last + 1)]


@pytest.mark.parametrize(
    ("first", "last"),
    [(1, 10), (1, 128), (1, 129), (5, 9), (100, 300), (128, 129), (257, 300), (300, 300), (1, 300)],
)
def test_any_range_can_be_dropped_and_the_rest_stays(path: Path, first: int, last: int):
    connection = open_writer(path)
    for device in (1, 2, 3):
        add_pages(connection, Run(device, 1, [one for _, one in make_readings(1, 300)]))

    assert drop_from_pages(connection, 2, first, last) == last - first + 1
    rest = [*make_readings(1, first - 1), *make_readings(last + 1, 300)]
    assert list(read_pages(connection, 2, 1, 1000)) == rest
    assert drop_from_pages(connection, 2, first, last) == 0
    for untouched in (1, 3):
        assert list(read_pages(connection, untouched, 1, 1000)) == make_readings(1, 300)
    connection.close()
