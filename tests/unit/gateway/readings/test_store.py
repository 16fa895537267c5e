import asyncio
import hashlib
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.errors import Rejected, RejectReason, StoreError
from gateway.model.observation import Observation, StoredReading
from gateway.readings.queries import ReadingsReader
from gateway.readings.store import ReadingsStore
from ledger.codec import canonical
from ledger.types.reading import ClockStatus, Quantity
from tests.support.readings import (
    NODE_ID,
    PROFILE,
    Answers,
    ManualClock,
    power,
    store_all,
    store_run,
)

OpenStore = Callable[[ManualClock], ReadingsStore]
OTHER_PROFILE = b"q" * 32
POWER = Quantity("power_w", 1, 0, "W")


def sequences(stored: list[StoredReading]) -> list[int]:
    return [one.reading.sequence for one in stored]


def reason(answer: StoredReading | Rejected) -> RejectReason:
    assert isinstance(answer, Rejected)
    return answer.reason


async def test_a_reading_carries_what_was_observed_and_what_the_gateway_adds(
    store: ReadingsStore, clock: ManualClock
):
    record = store.register_device("meter", PROFILE)
    quantities = (POWER, Quantity("energy_wh", None, 3, "Wh"))
    clock.time_ms += 500

    [stored] = await store_all(store, Observation("meter", quantities, source_time_ms=123))

    reading = stored.reading
    assert (reading.device_id, reading.sequence) == (record.device_id, 1)
    assert reading.profile_hash == PROFILE
    assert (reading.source_time_ms, reading.gateway_time_ms) == (123, clock.time_ms)
    assert reading.quantities == quantities
    assert stored.encoded == canonical.encode(reading)
    assert store.get("meter", 1) == stored


async def test_id_and_salt_are_made_from_the_devices_secret(store: ReadingsStore):
    record = store.register_device("meter", PROFILE)
    [first, second] = await store_run(store, "meter", 2)
    [secret] = store._writer.execute("SELECT secret FROM device").fetchone()

    assert record.device_id == hashlib.sha256(b"ssp/device/1\0" + NODE_ID + secret).digest()
    seed = b"ssp/salts/1\0" + secret + bytes(8)
    salts = hashlib.shake_256(seed).digest(64 * 16)
    assert (first.reading.salt, second.reading.salt) == (salts[16:32], salts[32:48])
    assert secret.hex() not in repr(record)


async def test_the_clock_status_follows_the_clock(store: ReadingsStore, clock: ManualClock):
    store.register_device("meter", PROFILE)
    [before] = await store_run(store, "meter", 1)
    clock.clock_status = ClockStatus.UNSYNCHRONISED
    clock.time_ms += 1000
    [after] = await store_run(store, "meter", 1)

    assert before.reading.clock is ClockStatus.SYNCHRONISED
    assert after.reading.clock is ClockStatus.UNSYNCHRONISED


async def test_sequences_have_no_gap_over_devices_groups_and_restarts(
    open_store: OpenStore, any_clock: ManualClock
):
    names = [f"meter-{number}" for number in range(5)]
    dice = random.Random(7)
    answered: dict[str, list[StoredReading]] = {name: [] for name in names}
    for _ in range(3):
        store = open_store(any_clock)
        for name in names:
            store.register_device(name, PROFILE)
        for _ in range(12):
            chosen = dice.choices(names, k=dice.randint(1, 300))
            for stored in await store_all(store, *(power(name, 1) for name in chosen)):
                answered[stored.device].append(stored)
        store.close()

    store = open_store(any_clock)
    for name in names:
        assert sequences(answered[name]) == list(range(1, len(answered[name]) + 1))
        assert store.range(name, 1, 10_000) == answered[name]


async def test_an_answer_comes_only_after_the_commit(
    open_store: OpenStore, any_clock: ManualClock, path: Path
):
    store = open_store(any_clock)
    store.register_device("meter", PROFILE)
    observer = ReadingsReader.open(path)
    seen: list[bool] = []
    all_answered = asyncio.Event()

    def look(answer: StoredReading | Rejected) -> None:
        assert isinstance(answer, StoredReading)
        seen.append(observer.get("meter", answer.reading.sequence) == answer)
        if len(seen) == 40:
            all_answered.set()

    for value in range(40):
        store.submit(power("meter", value), look)
        if value % 4 == 3:
            await asyncio.sleep(0)
    await all_answered.wait()
    observer.close()

    assert all(seen)


async def test_nothing_is_answered_before_submit_returns(store: ReadingsStore):
    store.register_device("meter", PROFILE)
    answers = Answers(store)

    answers.submit(power("meter", 1))
    answers.submit(power("nobody", 1))

    assert answers.all == []
    assert len(await answers.wait()) == 2


@pytest.mark.parametrize(
    ("observation", "expected"),
    [
        (Observation("nobody", (POWER,)), RejectReason.UNKNOWN_DEVICE),
        (Observation("meter", ()), RejectReason.NO_QUANTITIES),
        (Observation("meter", (POWER,) * 65), RejectReason.TOO_LARGE),
        (Observation("meter", (Quantity("power_w", 2**63, 0, "W"),)), RejectReason.MALFORMED),
        (Observation("meter", (Quantity("power_w", 2**70, 0, "W"),)), RejectReason.MALFORMED),
        (Observation("meter", (Quantity("power_w", 1, 19, "W"),)), RejectReason.MALFORMED),
        (Observation("meter", (Quantity("Power W", 1, 0, "W"),)), RejectReason.MALFORMED),
        (Observation("meter", (Quantity("power_w", 1, 0, "\ud800"),)), RejectReason.MALFORMED),
        (Observation("meter", (POWER,), source_time_ms=-1), RejectReason.MALFORMED),
    ],
)
async def test_a_bad_observation_is_refused_and_uses_up_no_sequence(
    store: ReadingsStore, observation: Observation, expected: RejectReason
):
    store.register_device("meter", PROFILE)
    answers = Answers(store)
    answers.submit(observation)
    answers.submit(power("meter", 1))

    refused, stored = sorted(await answers.wait(), key=lambda one: isinstance(one, StoredReading))

    assert reason(refused) is expected
    assert isinstance(stored, StoredReading)
    assert stored.reading.sequence == 1


async def test_registering_again_changes_nothing_but_the_profile(
    open_store: OpenStore, clock: ManualClock
):
    store = open_store(clock)
    first = store.register_device("meter", PROFILE)
    assert store.register_device("meter", PROFILE) == first
    await store_run(store, "meter", 2)
    changed = store.register_device("meter", OTHER_PROFILE)
    [third] = await store_run(store, "meter", 1)
    store.close()
    again = open_store(clock).register_device("meter", OTHER_PROFILE)

    assert (changed.device_id, changed.next_sequence) == (first.device_id, 3)
    assert third.reading.profile_hash == OTHER_PROFILE
    assert (again.device_id, again.next_sequence) == (first.device_id, 4)


async def test_two_devices_have_different_ids(store: ReadingsStore):
    one = store.register_device("one", PROFILE)
    two = store.register_device("two", PROFILE)

    assert one.device_id != two.device_id
    assert store.devices() == [one, two]


async def test_closing_stores_and_answers_what_waits(open_store: OpenStore, any_clock: ManualClock):
    store = open_store(any_clock)
    store.register_device("meter", PROFILE)
    for _ in range(10):
        await store_run(store, "meter", 1)  # by now a slow disk's commits are the thread's
    answers = Answers(store)
    for value in range(2500):
        answers.submit(power("meter", value))
        if value == 1200:
            await asyncio.sleep(0)  # a commit is in flight
    store.close()

    assert sequences([one for one in answers.all if isinstance(one, StoredReading)]) == list(
        range(11, 2511)
    )
    assert len(open_store(any_clock).range("meter", 1, 10_000)) == 2510


async def test_a_closed_store_refuses(store: ReadingsStore):
    store.register_device("meter", PROFILE)
    store.close()
    answers = Answers(store)
    answers.submit(power("meter", 1))

    assert reason((await answers.wait())[0]) is RejectReason.STORE_FAILED


async def test_a_second_gateway_on_the_same_file_is_refused(
    store: ReadingsStore, open_store: OpenStore, clock: ManualClock, path: Path
):
    with pytest.raises(StoreError, match="another gateway is using it: stop that one first"):
        open_store(clock)
    store.close()
    open_store(clock).register_device("meter", PROFILE)


async def test_reads_give_what_was_asked(store: ReadingsStore):
    store.register_device("meter", PROFILE)
    store.register_device("other", PROFILE)
    stored = await store_run(store, "meter", 20)

    assert store.last("meter", 3) == stored[-3:]
    assert store.range("meter", 5, 4) == stored[4:8]
    assert store.range("meter", 19, 100) == stored[18:]
    assert store.get("meter", 21) is None
    assert store.last("other", 5) == []
    with pytest.raises(StoreError, match="no device is named 'nobody'"):
        store.last("nobody", 1)
