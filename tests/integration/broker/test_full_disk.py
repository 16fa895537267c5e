"""A disk that fills up: publishers wait, nothing acknowledged is lost, and it goes on by itself."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.broker.test_broker_kills import KillableBroker, lost, until
from tests.integration.broker.test_exchange_kills import DEVICES, Gateway, count_stored
from tests.support.kill_clients import Meter, Publisher, Subscriber

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk"),
]

DISK = "3m"


@pytest.fixture
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    size = getattr(request, "param", DISK)
    mounted = subprocess.run(
        ("mount", "-t", "tmpfs", "-o", f"size={size}", "small", tmp_path), capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield tmp_path
    finally:
        subprocess.run(("umount", "--lazy", tmp_path), check=True)


def fill(disk: Path) -> Path:
    """Leave no room."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return filler


async def count_at_rest(publisher: Publisher) -> int:
    """Return how many are acknowledged once no more are."""
    count = -1
    while count != len(publisher.acknowledged):
        count = len(publisher.acknowledged)
        await asyncio.sleep(1.0)
    return count


async def test_a_full_disk_loses_nothing_that_was_acknowledged(small_disk: Path):
    broker = KillableBroker(small_disk)
    await broker.start()
    reader = Subscriber(broker.port, "reader")
    is_over = False
    publisher = Publisher(broker.port, "p", lambda: not is_over)
    async with asyncio.TaskGroup() as group:
        group.create_task(reader.run())
        await reader.subscribed.wait()
        reader.stop()  # what comes now must wait on disk
        group.create_task(publisher.run())
        await until(lambda: len(publisher.acknowledged) > 100)
        filler = fill(small_disk)
        before = await count_at_rest(publisher)
        await asyncio.sleep(1.5)  # it is tried again meanwhile
        assert len(publisher.acknowledged) == before, "acknowledged, and there is no room"
        filler.unlink()
        await until(lambda: len(publisher.acknowledged) > before + 100)
        is_over = True
        await until(lambda: publisher.is_idle)
        publisher.stop()
        await broker.kill()
        await broker.start()
        again = Subscriber(broker.port, "reader")
        again.subscribed.set()
        group.create_task(again.run())
        acknowledged = dict(publisher.acknowledged)
        await until(lambda: lost(again, acknowledged) == [])
        again.stop()
    assert await broker.stop() == 0


@pytest.mark.parametrize("small_disk", ["16m"], indirect=True)
async def test_on_a_full_disk_readings_wait_and_each_is_stored_once(small_disk: Path):
    gateway = Gateway(small_disk)
    await gateway.start()
    is_over = False
    meter = Meter(gateway.port, DEVICES[0], lambda: not is_over)
    async with asyncio.TaskGroup() as group:
        group.create_task(meter.run())
        await until(lambda: len(meter.acknowledged) > 100)
        filler = fill(small_disk)
        before = await count_at_rest(meter)
        await asyncio.sleep(1.5)  # it is tried again meanwhile
        assert len(meter.acknowledged) == before, "acknowledged, and there is no room"
        assert meter.is_connected, "it waits, and is not refused"
        filler.unlink()
        await until(lambda: len(meter.acknowledged) > before + 100)
        is_over = True
        await until(lambda: meter.is_idle)
        meter.stop()
    await gateway.kill()

    stored = count_stored(small_disk)[DEVICES[0]]
    assert stored == dict.fromkeys(range(1, meter.sent + 1), 1)
