"""Fan-out rate and memory: stock amqtt 0.12.1, mosquitto and our broker, side by side in one run.

    python -m tests.benchmarks.bench_fanout [--seconds 3] [--rounds 3] [--clients 1000]

The same generator drives each in turn: one publisher, 1 or 50 subscribers, QoS 0 and 1, one message
per write, so many messages on their way that nobody waits. Then so many clients connect, subscribe
and receive a message each, and the broker's resident memory is read. All on uvloop but mosquitto,
which is left out where it is not installed. Quote the ratio, not the rates. Where the generator uses
its whole core it is what limits the rate: then the real ratio is higher.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from tests.benchmarks.bench_ingest import (
    MOSQUITTO,
    MOSQUITTO_BINARY,
    ROOT,
    STOCK,
    Server,
    mosquitto,
    python_server,
)

OURS = "ours"
SHAPES = ((1, 0), (1, 1), (50, 0), (50, 1))  # subscribers, QoS
WINDOW = 20
Result = dict[str, float]


@contextmanager
def broker(name: str) -> Iterator[Server]:
    """Start a broker; give its port and process id."""
    with tempfile.TemporaryDirectory() as folder:
        if name == MOSQUITTO:
            server = mosquitto(folder)
        else:
            module = "ingest_stock" if name == STOCK else "fanout_broker"
            server = python_server(f"tests.benchmarks.{module}")
        with server as running:
            yield running


def deliver(server: Server, subscribers: int, qos: int, seconds: float) -> Result:
    port, pid = server
    before = cpu_s(pid)
    shape = [str(subscribers), str(qos), str(WINDOW), str(seconds)]
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.fanout_generator",
        str(port),
        "deliver",
        *shape,
    ]
    result: Result = json.loads(subprocess.check_output(command, cwd=ROOT, text=True))
    result["cpu_us"] = (cpu_s(pid) - before) / result["delivered"] * 1e6
    return result


def cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def held_memory_mb(name: str, clients: int) -> tuple[float, float]:
    """Return the resident memory before and with so many clients."""
    with broker(name) as (port, pid):
        measured = psutil.Process(pid)
        before = measured.memory_info().rss
        command = [sys.executable, "-m", "tests.benchmarks.fanout_generator"]
        with subprocess.Popen(
            [*command, str(port), "hold", str(clients)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as held:
            assert held.stdout
            assert held.stdout.readline().strip() == b"{}"
            with_clients = measured.memory_info().rss
            held.communicate()
    return before / 1e6, with_clients / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description="Fan-out benchmark, see the module's text.")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, default=1_000)
    options = parser.parse_args()
    names = [STOCK, OURS] if MOSQUITTO_BINARY is None else [STOCK, MOSQUITTO, OURS]
    results: dict[tuple[str, int, int], list[Result]] = {}
    for _ in range(options.rounds):
        for name in names:
            for subscribers, qos in SHAPES:
                with broker(name) as server:
                    result = deliver(server, subscribers, qos, options.seconds)
                results.setdefault((name, subscribers, qos), []).append(result)
    print(f"deliveries, {WINDOW} messages on their way; medians of {options.rounds}")
    for subscribers, qos in SHAPES:
        print(
            f"1 to {subscribers}, QoS {qos}{'':18}{'per s':>10}{'ratio':>8}{'CPU us':>9}{'generator':>11}"
        )
        base = median(results[STOCK, subscribers, qos], "rate")
        for name in names:
            measured = results[name, subscribers, qos]
            rate, share = median(measured, "rate"), f"{median(measured, 'cpu_share'):.0%}"
            cpu_us = median(measured, "cpu_us")
            print(f"  {name:28}{rate:10,.0f}{rate / base:8.2f}{cpu_us:9.1f}{share:>11}")
    print(f"resident memory, MB{'':11}{'idle':>10}{f'{options.clients} clients':>16}")
    for name in names:
        before, with_clients = held_memory_mb(name, options.clients)
        print(f"  {name:28}{before:10.1f}{with_clients:16.1f}")
    print("ratio: to stock amqtt; CPU us: of the broker, for each delivery")


def median(results: list[Result], key: str) -> float:
    return statistics.median(result[key] for result in results)


if __name__ == "__main__":
    main()
