"""More than the broker can give: thousands of clients, a flood, consumers that do not read.

`SMARTSHARE_FLOOD_SECONDS` makes the flood as long as it says.
"""

import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.mqtt_peer import Mqtt, Raw

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ROOT = Path(__file__).parents[3]
FLOOD_S = float(os.environ.get("SMARTSHARE_FLOOD_SECONDS", "4"))
CLIENTS = 5_000
SPARE_DESCRIPTORS = 200  # of the interpreter, its libraries and databases
WAIT_S = 30.0
OK = b"\x20\2\0\0"
UP = "dev/meter/up"


def need_descriptors(count: int) -> None:
    """Let the processes started here open so many files, or skip where that is not allowed."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        pytest.skip(f"this system allows {hard} open files a process, and {count} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def start(*command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    process.communicate()


@pytest.fixture
def crowded() -> Iterator[tuple[int, int]]:
    """A broker with room for thousands; its port and process id."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    need_descriptors(CLIENTS + SPARE_DESCRIPTORS)
    process = start("tests.benchmarks.fanout_broker")
    assert process.stdout is not None
    yield int(process.stdout.readline()), process.pid
    stop(process)
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.timeout(180)
def test_five_thousand_clients_are_served_and_small(crowded):
    port, pid = crowded
    held = start("tests.benchmarks.fanout_generator", str(port), "hold", str(CLIENTS))
    assert held.stdout is not None
    assert held.stdout.readline().strip() == "{}"  # each has subscribed and received a message

    newcomer = Raw(port).send(Mqtt.connect("", "newcomer"), Mqtt.subscribe("a"))
    assert [newcomer.packet(WAIT_S), newcomer.packet(WAIT_S)] == [OK, b"\x90\3\0\1\0"]
    newcomer.send(Mqtt.publish("a", b"x"))
    assert newcomer.packet(WAIT_S) == Mqtt.publish("a", b"x")
    newcomer.close()

    assert psutil.Process(pid).memory_info().rss < 120_000_000
    held.communicate()


@pytest.mark.timeout(60 + 3 * FLOOD_S)
def test_a_flood_of_qos_0_is_held_back_and_others_are_served():
    process = start("tests.support.broker_target", "ours", "{}")
    assert process.stdout is not None
    port = int(process.stdout.readline().split(":")[1].strip(" }\n"))
    stored = threading.Thread(target=lambda: [None for _ in process.stdout or ()])
    stored.start()
    stop_at = time.monotonic() + FLOOD_S
    flooding = Raw(port).send(Mqtt.connect("meter", "flood"))
    assert flooding.packet(WAIT_S) == OK
    chunk = Mqtt.publish(UP, b"flood" * 10) * 2_000
    sent = 0

    def flood() -> None:
        nonlocal sent
        while time.monotonic() < stop_at:
            flooding.send(chunk)
            sent += 1

    calm = Raw(port).send(Mqtt.connect("meter", "calm"))
    assert calm.packet(WAIT_S) == OK
    thread = threading.Thread(target=flood)
    thread.start()
    sizes, delays = [], []
    while time.monotonic() < stop_at:
        asked = time.monotonic()
        calm.send(Mqtt.publish(UP, b"calm", 1, 7))
        assert calm.packet(WAIT_S) == b"\x40\2\0\7"
        delays.append(time.monotonic() - asked)
        sizes.append(psutil.Process(process.pid).memory_info().rss)
    thread.join()
    flooding.close()
    calm.close()
    stop(process)
    stored.join()

    assert sent
    assert len(delays) >= 3
    assert max(delays) < 10
    # Flat: what is held is bounded by the limits of one connection, however long it lasts.
    quarter = len(sizes) // 4
    assert max(sizes[quarter:]) - max(sizes[: quarter + 1]) < 16_000_000


def test_dropped_messages_are_told_in_the_health(start_broker):
    broker = start_broker(queue_messages_max=5)
    slow = Raw(broker.port, receive_buffer=4_096)
    slow.send(Mqtt.connect("service", "slow"), Mqtt.subscribe("flood", 1))
    assert [slow.packet(WAIT_S), slow.packet(WAIT_S)] == [OK, b"\x90\3\0\1\1"]
    assert broker.run(lambda: broker.broker.problems) == ()

    writer = Raw(broker.port).send(Mqtt.connect("service", "writer"))
    assert writer.packet(WAIT_S) == OK
    for number in range(1, 101):
        assert writer.send(Mqtt.publish("flood", bytes(1_000), 1, number)).packet(WAIT_S)

    (problem,) = broker.run(lambda: broker.broker.problems)
    assert "messages were dropped" in problem
    assert "'service' ('slow')" in problem
    slow.close()
    writer.close()


def test_a_consumer_that_reads_nothing_is_cut_off_and_told_while_the_others_are_served(
    start_broker,
):
    broker = start_broker(write_timeout_s=0.5)
    slow = Raw(broker.port, receive_buffer=4_096)
    slow.send(Mqtt.connect("service", "slow"), Mqtt.subscribe("flood"))
    assert [slow.packet(WAIT_S), slow.packet(WAIT_S)] == [OK, b"\x90\3\0\1\0"]
    other = Raw(broker.port).send(Mqtt.connect("service", "other"), Mqtt.subscribe("calm"))
    assert [other.packet(WAIT_S), other.packet(WAIT_S)] == [OK, b"\x90\3\0\1\0"]

    assert broker.run(lambda: broker.broker.problems) == ()
    while not broker.run(lambda: broker.broker.overload.cut_off):
        other.send(Mqtt.publish("flood", bytes(60_000)), Mqtt.publish("calm", b"x"))
        assert other.packet(WAIT_S) == Mqtt.publish("calm", b"x")

    problems = broker.run(lambda: broker.broker.problems)
    assert "MQTT: 1 clients were cut off in the last minute: they did not read" in problems
    assert broker.run(lambda: broker.broker.counters.connections) == 1
    slow.close()
    other.close()


def test_connections_beyond_the_limit_are_refused_and_told(start_broker):
    broker = start_broker(connections_max=3, connections_loopback_reserved=0)
    peers = [Raw(broker.port).send(Mqtt.connect("service", f"c{number}")) for number in range(3)]
    assert [peer.packet(WAIT_S) for peer in peers] == [OK] * 3
    assert broker.run(lambda: broker.broker.problems) == ()

    surplus = Raw(broker.port)
    assert surplus.packet(WAIT_S) is None

    assert broker.run(lambda: broker.broker.overload.refused_connections) == 1
    (problem,) = broker.run(lambda: broker.broker.problems)
    assert problem == "MQTT: 1 connections were refused in the last minute (3 of 3 are open)"
    for peer in [surplus, *peers]:
        peer.close()
