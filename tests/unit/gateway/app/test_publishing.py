"""Live values: a device's newest reading now and then, its availability when it changes."""

import asyncio

import pytest

from gateway.app import publishing
from gateway.app.publishing import ReadingPublisher
from gateway.errors import Rejected, RejectReason
from gateway.model import topics
from gateway.model.observation import Observation, StoredReading
from gateway.pipeline.normalise import parse_state
from gateway.readings.store import ReadingsStore
from tests.support.gateway_lab import GATEWAY, make_broker
from tests.support.readings import NODE_ID, PROFILE, ManualClock, power


class Stage:
    """A publisher before a real store, and everything that it published."""

    def __init__(self, folder) -> None:
        self.store = ReadingsStore.open(folder / "readings.db", ManualClock(), NODE_ID)
        self.publisher = ReadingPublisher(self.store, GATEWAY)
        self.broker = make_broker()
        self.published: list[tuple[str, bytes]] = []
        self.broker.add_listener("#", lambda topic, data: self.published.append((topic, data)))

    async def store_readings(self, device: str, *values: int) -> list[StoredReading | Rejected]:
        answers: list[StoredReading | Rejected] = []
        arrived = asyncio.Event()

        def take(answer: StoredReading | Rejected) -> None:
            answers.append(answer)
            if len(answers) == len(values):
                arrived.set()

        for value in values:
            self.publisher.submit(power(device, value), take)
        await arrived.wait()
        return answers

    async def publish(self) -> list[tuple[str, bytes]]:
        """Return what one round of publishing tells."""
        self.published.clear()
        running = asyncio.create_task(self.publisher.run(self.broker))
        for _ in range(20):
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return sorted(self.published)


@pytest.fixture
def stage(tmp_path, monkeypatch):
    monkeypatch.setattr(publishing, "PUBLISH_INTERVAL_S", 0)
    stages: list[Stage] = []

    def make() -> Stage:
        stages.append(Stage(tmp_path))
        return stages[-1]

    yield make
    for one in stages:
        one.store.close()


def topic(device: str, leaf: str) -> str:
    return topics.device(GATEWAY, device, leaf)


async def test_only_the_newest_of_many_readings_is_published(stage):
    stage = stage()
    stage.store.register_device("meter", PROFILE)
    await stage.store_readings("meter", 10, 20, 30)

    availability, state = await stage.publish()
    assert availability == (topic("meter", "availability"), b"online")
    assert state[0] == topic("meter", "state")
    parsed = parse_state(state[1])
    assert not isinstance(parsed, Rejected)
    assert (parsed.sequence, str(parsed.values["power_w"])) == (3, "3.0")
    assert stage.publisher.stored == 3

    assert await stage.publish() == [], "nothing new is nothing told"


async def test_availability_is_told_when_it_changes(stage):
    stage = stage()
    stage.store.register_device("meter", PROFILE)
    await stage.store_readings("meter", 1)
    await stage.publish()
    stage.publisher.set_available("meter", is_available=True)
    assert await stage.publish() == []

    stage.publisher.set_available("meter", is_available=False)
    assert stage.publisher.availability == {"meter": "offline"}
    assert await stage.publish() == [(topic("meter", "availability"), b"offline")]

    await stage.store_readings("meter", 1)
    told = await stage.publish()
    assert told[0] == (topic("meter", "availability"), b"online")


async def test_a_refused_reading_is_counted_and_not_published(stage):
    stage = stage()
    (answer,) = await stage.store_readings("unknown", 1)

    assert isinstance(answer, Rejected)
    assert answer.reason is RejectReason.UNKNOWN_DEVICE
    assert (stage.publisher.stored, stage.publisher.rejected) == (0, 1)
    assert await stage.publish() == []
    assert stage.publisher.availability == {}


async def test_what_was_retained_of_a_removed_device_is_taken_back(stage):
    stage = stage()
    for name in ("meter", "other"):
        stage.store.register_device(name, PROFILE)
        await stage.store_readings(name, 1)
    await stage.publish()
    await stage.store_readings("meter", 2)

    stage.publisher.forget_others({"other"})
    assert stage.publisher.availability == {"other": "online"}
    assert await stage.publish() == [
        (topic("meter", "availability"), b""),
        (topic("meter", "state"), b""),
    ]
    assert await stage.publish() == []


async def test_a_device_that_is_removed_and_added_again_is_told_anew(stage):
    stage = stage()
    stage.store.register_device("meter", PROFILE)
    await stage.store_readings("meter", 1)
    await stage.publish()
    stage.publisher.forget_others(set())
    stage.publisher.forget_others({"meter"})
    await stage.store_readings("meter", 2)

    availability, state = await stage.publish()
    assert availability == (topic("meter", "availability"), b"online")
    assert b'"sequence":2' in state[1]


def test_the_store_is_asked_to_take_what_was_measured():
    """The publisher stands before the store and hands on the very observation."""
    taken: list[Observation] = []

    class Sink:
        def submit(self, observation, done):
            taken.append(observation)

    observation = power("meter", 1)
    ReadingPublisher(Sink(), GATEWAY).submit(observation, lambda _: None)  # type: ignore[arg-type]
    assert taken == [observation]
