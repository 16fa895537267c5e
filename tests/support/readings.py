"""A clock under the test's control, and short words for storing readings."""

import asyncio
from collections.abc import Callable, Sequence

from gateway.errors import Rejected
from gateway.model.observation import Decoded, Observation, StoredReading
from gateway.pipeline.batch import Batch, build_batch
from gateway.ports import DeviceMessages, StoreNote, TelemetrySource
from gateway.readings.records import OutboxEntry
from gateway.readings.store import ReadingsStore
from ledger.types.reading import ClockStatus, Quantity

NODE_ID = b"n" * 32
PROFILE = b"p" * 32


class ManualClock:
    """Time that moves only when told; `commit_ns` is how long each commit seems to take."""

    def __init__(self, commit_ns: int = 0) -> None:
        self.time_ms = 1_772_366_400_000
        self.clock_status = ClockStatus.SYNCHRONISED
        self._monotonic_ns = 0
        self.commit_ns = commit_ns

    def now_ms(self) -> int:
        return self.time_ms

    def monotonic_ns(self) -> int:
        self._monotonic_ns += self.commit_ns
        return self._monotonic_ns

    def status(self) -> ClockStatus:
        return self.clock_status

    def is_synchronised(self) -> bool:
        return self.clock_status is ClockStatus.SYNCHRONISED


def power(device: str, value: int) -> Observation:
    return Observation(device, (Quantity("power_w", value, -1, "W"),))


class Outcomes:
    """A `TelemetrySource` that hands on each answer; None is a message that is settled."""

    def __init__(self, take: Callable[[Rejected | None], None]) -> None:
        self._take = take

    def settled(self, count: int) -> None:
        for _ in range(count):
            self._take(None)

    def refused(self, refusal: Rejected) -> None:
        self._take(refusal)


def take(
    store: ReadingsStore,
    source: TelemetrySource,
    device: str,
    decoded: Sequence[Decoded],
    note: StoreNote | None = None,
) -> None:
    """Hand the store what messages of a device measured."""
    messages = DeviceMessages(source, device, "up", [b""] * len(decoded), note)
    store.take([messages], [decoded])


class Answers:
    """Submits observations and collects what the store answers, in the order of the answers."""

    def __init__(self, store: ReadingsStore) -> None:
        self.all: list[StoredReading | Rejected] = []
        self._store = store
        self._submitted = 0
        self._is_complete = asyncio.Event()

    def submit(self, observation: Observation) -> None:
        self._submitted += 1
        self._is_complete.clear()
        self._store.submit(observation, self._take)

    async def wait(self) -> list[StoredReading | Rejected]:
        """Return all answers as soon as there is one for each observation."""
        await self._is_complete.wait()
        return self.all

    def _take(self, answer: StoredReading | Rejected) -> None:
        self.all.append(answer)
        if len(self.all) == self._submitted:
            self._is_complete.set()


async def store_all(store: ReadingsStore, *observations: Observation) -> list[StoredReading]:
    """Store observations in one go and return their readings."""
    answers = Answers(store)
    for observation in observations:
        answers.submit(observation)
    stored = []
    for answer in await answers.wait():
        assert isinstance(answer, StoredReading), str(answer)
        stored.append(answer)
    return stored


async def store_run(store: ReadingsStore, device: str, count: int) -> list[StoredReading]:
    """Store `count` readings of a device with rising values."""
    return await store_all(store, *(power(device, value) for value in range(count)))


def next_batch(store: ReadingsStore, device: str, count: int) -> Batch:
    """Build a batch of the device's oldest unanchored readings."""
    stored = store.unanchored(device, count)
    assert len(stored) == count
    return build_batch(stored[0].reading.device_id, stored[0].reading.profile_hash, stored)


def anchor(number: int, raw: bytes = b"raw") -> OutboxEntry:
    """Return a signed anchor transaction; its id is made of `number`."""
    return OutboxEntry(number.to_bytes(32, "big"), raw, expiry_height=100, purpose="anchor")
