"""Power is cut at random moments of QoS 2 exchanges: each reading is stored once and arrives once.

The files of the readings store and of the sessions are, at the cut, what their own writes and syncs left:
either may be ahead of the other. Then a new process serves the same clients, which know what they knew.
"""

import asyncio
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest

from gateway.readings.queries import ReadingsReader
from tests.support.broker_script import METER
from tests.support.exchange_process import exchange
from tests.support.exchange_world import Device, Reader
from tests.support.power_loss import STDOUT, STRACE, Call, Disk, read_trace

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace"),
]

ROOT = Path(__file__).parents[3]
MESSAGES = 18  # under few packet ids, so that each is used again and again
POWER_CUTS = int(os.environ.get("SMARTSHARE_POWER_CUTS", "150"))
FILES = ("readings.db", "readings.db-wal", "sessions.db", "sessions.db-wal")
WAIT_S = 30.0


def record(folder: Path) -> list[Call]:
    """Let the exchanges happen under strace and return the process's system calls."""
    trace = folder / "trace"
    module = ("-m", "tests.support.exchange_process", str(folder), str(MESSAGES))
    subprocess.run(
        [*STRACE, trace, sys.executable, *module],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        timeout=WAIT_S,
        check=True,
    )
    files = {folder / name for name in FILES}
    return [call for call in read_trace(trace) if call.fd == STDOUT or call.file in files]


def remember(said: str) -> tuple[Device, Reader]:
    """Return the clients with the memory that they had when they had said so much."""
    device, reader = Device(), Reader()
    for line in said.splitlines():
        name, _, packet = line.partition(" ")
        match name:
            case "publish":
                device.publish()
            case "device":
                device.take(bytes.fromhex(packet))
            case _:
                assert name == "reader"
                reader.take(bytes.fromhex(packet))
    return device, reader


def count_stored(path: Path) -> Counter[int]:
    reader = ReadingsReader.open(path)
    try:
        stored = reader.last(METER.name, 10 * MESSAGES)
        return Counter(one.reading.quantities[0].value or 0 for one in stored)
    finally:
        reader.close()


async def test_a_power_cut_stores_no_reading_of_qos_2_twice(tmp_path: Path):
    calls = record(tmp_path)
    everything = dict.fromkeys(range(1, MESSAGES + 1), 1)
    chance = random.Random(3)
    subscribed = next(i for i, call in enumerate(calls) if call.fd == STDOUT)
    moments = sorted(chance.choices(range(subscribed + 1, len(calls)), k=POWER_CUTS))
    disk, said, done, stored_before_cut = Disk(), "", 0, 0
    for moment in moments:
        for call in calls[done:moment]:
            if call.fd == STDOUT:
                said += call.data.decode()
            else:
                disk.perform(call)
        done = moment
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            disk.cut_power(folder, chance)
            device, reader = remember(said)
            stored_before_cut += device.published < MESSAGES
            async with asyncio.timeout(WAIT_S):
                await exchange(folder, (device, reader), MESSAGES, lambda _: None)
            assert count_stored(folder / "readings.db") == everything, f"cut at {moment}"
            assert reader.received == everything, f"cut at {moment}"
    assert stored_before_cut > POWER_CUTS // 2, "most cuts are in the middle of it"
