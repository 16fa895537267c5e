"""Ingest rate and PUBACK latency: stock amqtt 0.12.1, mosquitto and the gateway, in one run.

    python -m tests.benchmarks.bench_ingest [--seconds 3] [--rounds 3] [--directory DIR]
    python -m tests.benchmarks.bench_ingest --flood [--seconds 60]

The same generator drives each in turn: QoS 1, one message per write, 20 clients with 20 messages in
flight each and 200 with 2, then one with one for the latency. Stock amqtt on uvloop and mosquitto
(nobody subscribed, TCP_NODELAY) acknowledge without storing; the gateway checks password and access
rules, decodes, and acknowledges after a COMMIT with synchronous=FULL. Quote ratios, not rates: they
move with the machine. *Bare uvloop* is the least that a network loop in Python costs: it looks for
packet ids and answers. CPU is user and system time of the server's process. Where the generator
uses its whole core, it is what limits the rate.

`--flood` publishes QoS 0 as fast as the gateway takes it, and tells the memory that this costs.
"""

import argparse
import contextlib
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHAPES = ((20, 20), (200, 2))
SINGLE = (1, 1)
DEVICES = 200
STOCK, MOSQUITTO, GATEWAY = "stock amqtt", "mosquitto", "gateway, durable"
BARE = "bare uvloop"
MOSQUITTO_BINARY = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")
MOSQUITTO_SETTINGS = """
listener {port} 127.0.0.1
allow_anonymous true
set_tcp_nodelay true
persistence false
log_type none
"""
Result = dict[str, float]
Server = tuple[int, int]  # port, process id


@contextmanager
def process(*command: str) -> Iterator[subprocess.Popen[str]]:
    running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        yield running
    finally:
        running.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(5)
        running.kill()
        running.wait()
        if running.stdout:
            running.stdout.close()


@contextmanager
def python_server(*arguments: str) -> Iterator[Server]:
    """Start a server that prints its port."""
    with process(sys.executable, "-m", *arguments) as server:
        assert server.stdout
        yield int(server.stdout.readline()), server.pid


@contextmanager
def mosquitto(directory: str) -> Iterator[Server]:
    assert MOSQUITTO_BINARY
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = Path(directory, "mosquitto.conf")
    settings.write_text(MOSQUITTO_SETTINGS.format(port=port))
    with process(MOSQUITTO_BINARY, "-c", str(settings)) as server:
        for _ in range(100):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port)).close()
                break
            time.sleep(0.05)
        yield port, server.pid


@contextmanager
def system(name: str, directory: str) -> Iterator[Server]:
    with tempfile.TemporaryDirectory(dir=directory) as home:
        if name == STOCK:
            server = python_server("tests.benchmarks.ingest_stock")
        elif name == BARE:
            server = python_server("tests.benchmarks.ingest_bare")
        elif name == MOSQUITTO:
            server = mosquitto(home)
        else:
            database = str(Path(home, "readings.db"))
            server = python_server("tests.benchmarks.ingest_gateway", database, str(DEVICES))
        with server as running:
            yield running


def generate(mode: str, server: Server, *arguments: float) -> Result:
    command = [sys.executable, "-m", "tests.benchmarks.ingest_generator", mode]
    output = subprocess.check_output(
        [*command, *map(str, (*server, *arguments))], cwd=ROOT, text=True
    )
    result: Result = json.loads(output)
    return result


def median(results: list[Result], key: str) -> float:
    return statistics.median(result[key] for result in results)


def print_load(shape: tuple[int, int], results: dict[str, list[Result]]) -> None:
    clients, window = shape
    print(f"\nQoS 1, {clients} clients x {window} in flight")
    print(f"{'':20}{'msg/s':>9}{'/stock':>8}{'/mosquitto':>12}{'CPU us/msg':>12}{'generator':>11}")
    for name, found in results.items():
        rate = median(found, "rate")
        ratios = (
            f"{rate / median(results[peer], 'rate'):.2f}" if peer in results else "-"
            for peer in (STOCK, MOSQUITTO)
        )
        to_stock, to_mosquitto = ratios
        share, broker_us = f"{median(found, 'cpu_share'):.0%}", median(found, "broker_us")
        print(f"{name:20}{rate:9,.0f}{to_stock:>8}{to_mosquitto:>12}{broker_us:12.1f}{share:>11}")


def print_latency(results: dict[str, list[Result]]) -> None:
    print("\nPUBACK at one in flight, ms")
    print(f"{'':20}{'p50':>9}{'p99':>8}")
    for name, found in results.items():
        print(f"{name:20}{median(found, 'p50_ms'):9.3f}{median(found, 'p99_ms'):8.3f}")


def compare(rounds: int, seconds: float, directory: str) -> None:
    names = [STOCK, *([MOSQUITTO] if MOSQUITTO_BINARY else []), BARE, GATEWAY]
    shapes = (*SHAPES, SINGLE)
    results: dict[tuple[int, int], dict[str, list[Result]]] = {
        shape: {name: [] for name in names} for shape in shapes
    }
    for _ in range(rounds):
        for name in names:
            with system(name, directory) as server:
                for shape in shapes:
                    results[shape][name].append(generate("load", server, *shape, seconds))
    print(f"medians of {rounds} rounds of {seconds:g} s; generator: its share of a core")
    for shape in SHAPES:
        print_load(shape, results[shape])
    print_latency(results[SINGLE])


def flood(seconds: float, directory: str) -> None:
    with system(GATEWAY, directory) as server:
        result = generate("flood", server, 20, seconds)
    print(
        f"QoS 0 flood over 20 connections for {seconds:g} s: {result['rate']:,.0f} messages/s taken"
    )
    print(
        f"memory of the gateway: {result['rss_before_mb']:.0f} MB before, at most "
        f"{result['rss_first_half_mb']:.0f} MB in the first half, "
        f"{result['rss_second_half_mb']:.0f} MB in the second"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Ingest benchmark, see the module's text.")
    parser.add_argument("--seconds", type=float, help="of a round: 3, of a flood: 60")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directory", default=tempfile.gettempdir(), help="where to store")
    parser.add_argument("--flood", action="store_true", help="QoS 0: is the memory bounded?")
    options = parser.parse_args()
    if options.flood:
        flood(options.seconds or 60.0, options.directory)
    else:
        compare(options.rounds, options.seconds or 3.0, options.directory)


if __name__ == "__main__":
    main()
