"""Ingest rate and PUBACK latency: stock amqtt 0.12.1 and the gateway, side by side in one run.

    python -m tests.benchmarks.bench_ingest [--seconds 3] [--rounds 3] [--directory DIR]

The same generator drives each in turn: QoS 1, 20 clients with 20 messages in flight, one message
per write. Stock amqtt acknowledges without storing; the gateway checks password and access rules,
decodes, and acknowledges after a COMMIT with synchronous=FULL. Quote the ratio, not the rates: they
move with the machine. Where the generator uses its whole core, it is what limits the rate.
"""

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
CLIENTS, WINDOW = 20, 20
SYSTEMS = ("stock amqtt, alone", "stock amqtt, no-op subscriber", "gateway, durable")
Result = dict[str, float]


@contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", *arguments]
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
def started(*arguments: str) -> Iterator[str]:
    """Start a server; give the port that it prints."""
    with process(*arguments) as server:
        assert server.stdout
        yield server.stdout.readline().strip()


@contextmanager
def system(name: str, directory: str) -> Iterator[str]:
    with contextlib.ExitStack() as stack:
        if name == SYSTEMS[2]:
            home = stack.enter_context(tempfile.TemporaryDirectory(dir=directory))
            database = str(Path(home, "readings.db"))
            server = started("tests.benchmarks.ingest_gateway", database, str(CLIENTS))
            yield stack.enter_context(server)
            return
        port = stack.enter_context(started("tests.benchmarks.ingest_stock", "broker"))
        if name == SYSTEMS[1]:
            stack.enter_context(process("tests.benchmarks.ingest_stock", "subscriber", port))
        yield port


def generate(port: str, clients: int, window: int, seconds: float) -> Result:
    arguments = [port, str(clients), str(window), str(seconds)]
    command = [sys.executable, "-m", "tests.benchmarks.ingest_generator", *arguments]
    output = subprocess.check_output(command, cwd=ROOT, text=True)
    result: Result = json.loads(output)
    return result


def median(results: list[Result], key: str) -> float:
    return statistics.median(result[key] for result in results)


def main() -> None:
    parser = argparse.ArgumentParser(description="Ingest benchmark, see the module's text.")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directory", default=tempfile.gettempdir(), help="where to store")
    options = parser.parse_args()
    loads: dict[str, list[Result]] = {name: [] for name in SYSTEMS}
    singles: dict[str, list[Result]] = {name: [] for name in SYSTEMS}
    for _ in range(options.rounds):
        for name in SYSTEMS:
            with system(name, options.directory) as port:
                loads[name].append(generate(port, CLIENTS, WINDOW, options.seconds))
                singles[name].append(generate(port, 1, 1, options.seconds / 2))
    print(f"QoS 1, {CLIENTS} clients x {WINDOW} in flight; medians of {options.rounds}")
    print(f"{'':31}{'msg/s':>9}{'ratio':>8}{'generator':>11}{'p50 ms':>9}{'p99 ms':>9}")
    for name in SYSTEMS:
        rate = median(loads[name], "rate")
        ratio = rate / median(loads[SYSTEMS[0]], "rate")
        share = f"{median(loads[name], 'cpu_share'):.0%}"
        p50, p99 = (median(singles[name], key) for key in ("p50_ms", "p99_ms"))
        print(f"{name:31}{rate:9,.0f}{ratio:8.2f}{share:>11}{p50:9.3f}{p99:9.3f}")
    print("ratio: to stock amqtt alone; p50, p99: PUBACK with one message in flight")


if __name__ == "__main__":
    main()
