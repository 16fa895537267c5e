"""kill -9 of broker and readings store under load of QoS 2 readings: each is stored once and arrives once.

`SMARTSHARE_BROKER_KILLS` says how often.
"""

import asyncio
import os
import random
import sys
from collections import Counter
from pathlib import Path

import pytest

from gateway.readings.queries import ReadingsReader
from tests.support.kill_clients import Meter, Subscriber

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ROOT = Path(__file__).parents[3]
KILLS = int(os.environ.get("SMARTSHARE_BROKER_KILLS", "20"))
DEVICES = [f"meter-{number}" for number in range(8)]
NUMBERS_APART = 100_000  # what one device measures no other does
BACKLOG_MAX = 500  # messages sent and not received: the subscriber's queue holds more
WAIT_S = 120.0


class Reader(Subscriber):
    topic_filter = "ss/v1/gw1/dev/+/up"

    def __init__(self, port: int) -> None:
        super().__init__(port, "reader")


class Gateway:
    def __init__(self, folder: Path) -> None:
        self.port = 0
        self._folder = folder
        self.process: asyncio.subprocess.Process

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.support.telemetry_broker"),
            *(str(self._folder), str(self.port), *DEVICES),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self.port = int(await self.process.stdout.readline())

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()


def count_stored(folder: Path) -> dict[str, Counter[int]]:
    """Return how often each value of a device is stored."""
    reader = ReadingsReader.open(folder / "readings.db")
    try:
        return {
            device: Counter(
                quantity.value // 1000
                for one in reader.last(device, 1_000_000)
                for quantity in one.reading.quantities
                if quantity.name == "power_active_total" and quantity.value is not None
            )
            for device in DEVICES
        }
    finally:
        reader.close()


def values(meter: Meter) -> range:
    return range(meter.before + 1, meter.before + meter.sent + 1)


def is_busy(reader: Reader, meters: list[Meter]) -> bool:
    sent = sum(meter.sent for meter in meters)
    return len(reader.received_messages) < sent or not all(meter.is_idle for meter in meters)


@pytest.mark.timeout(60 + 6 * KILLS)
async def test_kill_9_stores_no_reading_of_qos_2_twice(tmp_path: Path):
    gateway = Gateway(tmp_path)
    await gateway.start()
    reader = Reader(gateway.port)
    is_over = False

    def may_send() -> bool:
        sent = sum(meter.sent for meter in meters)
        return not is_over and sent - len(reader.received_messages) < BACKLOG_MAX

    meters: list[Meter] = []
    for number, device in enumerate(DEVICES):
        meters.append(Meter(gateway.port, device, may_send))
        meters[-1].before = number * NUMBERS_APART
    chance = random.Random(20_261)
    async with asyncio.TaskGroup() as group:
        group.create_task(reader.run())
        await reader.subscribed.wait()
        for meter in meters:
            group.create_task(meter.run())
        for _ in range(KILLS):
            await asyncio.sleep(chance.uniform(0.05, 0.6))  # the moment of death is the point
            await gateway.kill()
            await gateway.start()
        is_over = True
        async with asyncio.timeout(WAIT_S):
            while is_busy(reader, meters):  # noqa: ASYNC110 - many change, and nobody tells
                await asyncio.sleep(0.05)
        reader.stop()
        for meter in meters:
            meter.stop()
    await gateway.kill()

    sent = sum(meter.sent for meter in meters)
    print(f"{KILLS} kills, {sent} readings of QoS 2")  # seen with -s
    assert count_stored(tmp_path) == {one.client_id: Counter(values(one)) for one in meters}
    assert max(reader.received_messages.values()) == 1
    assert sent > 10 * KILLS
