"""Devices that send faster than the store takes are held back at their sockets: nothing is refused."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.readings.queries import ReadingsReader

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ROOT = Path(__file__).parents[3]
DEVICES = 40
FLOOD_S = 3
WAIT_S = 60.0


def count_readings(path: Path) -> int:
    reader = ReadingsReader.open(path)
    try:
        return sum(device.next_sequence - 1 for device in reader.devices())
    finally:
        reader.close()


def test_every_message_of_a_flood_of_qos_0_is_stored(tmp_path: Path):
    path = tmp_path / "readings.db"
    command = [sys.executable, "-m", "tests.benchmarks.ingest_gateway", str(path), str(DEVICES)]
    gateway = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert gateway.stdout is not None
        port = gateway.stdout.readline().strip()
        generator = [sys.executable, "-m", "tests.benchmarks.ingest_generator", "flood"]
        said = subprocess.check_output(
            [*generator, port, str(gateway.pid), str(DEVICES), str(FLOOD_S)], cwd=ROOT
        )
        sent = json.loads(said)["sent"]
        until = time.monotonic() + WAIT_S
        while count_readings(path) < sent and time.monotonic() < until:
            time.sleep(0.05)
        assert count_readings(path) == sent > 1_000
    finally:
        gateway.kill()
        _, complaints = gateway.communicate()
    assert complaints == ""
