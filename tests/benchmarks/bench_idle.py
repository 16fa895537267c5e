"""What four real gateways cost at rest: processor time, memory, bytes for the disk.

    .venv/bin/python -m tests.benchmarks.bench_idle [--seconds 120] [--load idle] [--folder DIR]

Each load has four gateways of its own, as the demonstration starts them: supervisor, SmartAgent, gateway
with its broker, ledger, contract workers, on loopback. `--folder` is on the disk to measure; a temporary
folder that lies in memory has no bytes written. Processor time is that of all processes, in percent of one
core. What a load writes in a day is what it wrote while it was measured, multiplied.
"""

import argparse
import contextlib
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from gateway.app.credentials import CredentialFile
from gateway.app.founding import NetworkOptions
from gateway.app.operator import Operator
from gateway.app.provision import initialise
from gateway.app.registry import add_device
from gateway.clock import SystemClock
from gateway.demo.neighbours import found_with_neighbours, neighbour_homes
from gateway.demo.stage import find_free_port
from gateway.errors import MessagingError
from gateway.model import topics
from gateway.model.ledger_api import StatusReply
from gateway.settings import Home, broker_endpoint, load_settings, write_atomic
from tests.benchmarks.process_costs import Cost, read_costs, total

OWN, DEVICE = "house", "plug"  # the gateway that is asked, and its device
SLOT_MS = 3_000
START_TIMEOUT_S = 300.0  # three blocks at rest, and sixteen interpreters
FIRST_BLOCKS = 3
SETTLE_S = 15.0  # start-up work is over, the first blocks are in the database
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Load:
    """What the gateways do while they are measured."""

    name: str
    heartbeat_ms: int  # the longest wait for a block where there is nothing to do
    readings_per_s: int = 0  # of one device of the first gateway
    anchor_age_ms: int = 10_000  # how long that gateway lets readings wait for an anchor


LOADS = (
    Load("block-each-slot", SLOT_MS),
    Load("idle", 30_000),
    Load("idle-one-device", 30_000, readings_per_s=1),
    Load("idle-one-device-slow-anchors", 30_000, readings_per_s=1, anchor_age_ms=60_000),
)


def make_homes(folder: Path, load: Load) -> dict[str, Home]:
    """Found a network of four on loopback; the first has a device."""
    clock, home = SystemClock(), Home(folder / OWN)
    options = NetworkOptions(SLOT_MS, load.heartbeat_ms)
    membership = found_with_neighbours(home, options, clock, find_free_port)
    listen = f"127.0.0.1:{find_free_port()}"
    initialise(home, OWN, clock, listen=listen, membership=membership)
    settings = home.settings.read_text()
    settings = settings.replace("interfaces = []", 'interfaces = ["127.0.0.1"]')
    settings = settings.replace("age_max_ms = 10000", f"age_max_ms = {load.anchor_age_ms}")
    write_atomic(home.settings, settings.encode())
    add_device(home, DEVICE, "json-energy", None, 1_000)
    return {OWN: home, **neighbour_homes(home)}


@contextlib.contextmanager
def running(homes: Mapping[str, Home]) -> Iterator[dict[str, int]]:
    """Start the gateways; yield the process ids of their supervisors by name."""
    processes = {name: start(home) for name, home in homes.items()}
    try:
        yield {name: process.pid for name, process in processes.items()}
    finally:
        for process in processes.values():
            process.terminate()
        for process in processes.values():
            process.wait()


def start(home: Home) -> "subprocess.Popen[bytes]":
    command = (sys.executable, "-m", "gateway.cli.main", "run", "--home", str(home.path))
    with home.path.with_suffix(".log").open("ab") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def read_height(home: Home) -> int:
    """Return the block at which a gateway is, 0 while it does not answer."""
    try:
        with Operator(home, "bench-idle", answer_timeout_s=2.0) as operator:
            return operator.ask("status", {}, StatusReply).height
    except MessagingError:
        return 0


def wait_until_blocks_flow(homes: Mapping[str, Home], height: int = FIRST_BLOCKS) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    for name, home in homes.items():
        while read_height(home) < height:
            if time.monotonic() > deadline:
                sys.exit(f"{name} is not at block {height}: see {home.path.with_suffix('.log')}")
            time.sleep(0.5)


@contextlib.contextmanager
def device_publishes(home: Home, per_second: int) -> Iterator[None]:
    """Publish so many readings a second at QoS 1 inside the block."""
    if not per_second:
        yield
        return
    client = Client(CallbackAPIVersion.VERSION2, DEVICE)
    client.username_pw_set(DEVICE, CredentialFile(home).set_new_password(DEVICE))
    settings = load_settings(home)
    client.connect(*broker_endpoint(settings))
    client.loop_start()
    topic, stop = topics.device(settings.name, DEVICE, "up"), threading.Event()

    def publish() -> None:
        energy_wh = 0
        while not stop.wait(1 / per_second):
            energy_wh += 1
            payload = b'{"power_active_total":%d.5,"energy_import_total":%d}'
            client.publish(topic, payload % (energy_wh % 3_000, energy_wh), qos=1)

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        client.disconnect()
        client.loop_stop()


def measure(load: Load, folder: Path, seconds: float) -> None:
    """Run one load and print its table."""
    homes = make_homes(folder, load)
    with running(homes) as pids:
        wait_until_blocks_flow(homes)
        with device_publishes(homes[OWN], load.readings_per_s):
            time.sleep(SETTLE_S)
            height = read_height(homes[OWN])
            before = {name: read_costs(pid) for name, pid in pids.items()}
            started = time.monotonic()
            time.sleep(seconds)
            elapsed = time.monotonic() - started
            after = {name: read_costs(pid) for name, pid in pids.items()}
            blocks = read_height(homes[OWN]) - height
    spent = {
        name: {
            kind: cost.since(before[name].get(kind, Cost())) for kind, cost in after[name].items()
        }
        for name in after
    }
    print(f"\n{load.name}: {blocks} blocks in {elapsed:.0f} s; the device is {OWN}'s")
    print_table(spent, elapsed)


def print_table(spent: Mapping[str, Mapping[str, Cost]], seconds: float) -> None:
    print(
        f"{'':26}{'CPU %':>8}{'wakes/s':>9}{'RSS MB':>8}{'PSS MB':>8}{'disk MB/day':>13}{'written':>10}"
    )
    for name, kinds in spent.items():
        for kind, cost in kinds.items():
            print_row(f"{name}, {kind}", cost, seconds)
        print_row(f"{name}, all", total(kinds.values()), seconds)
    everything = total(cost for kinds in spent.values() for cost in kinds.values())
    print_row("four gateways", everything, seconds)


def print_row(label: str, cost: Cost, seconds: float) -> None:
    days = seconds / DAY_S
    print(
        f"{label:26}{100 * cost.cpu_s / seconds:8.2f}{cost.switches / seconds:9.1f}"
        f"{cost.rss_bytes / 1e6:8.1f}{cost.pss_bytes / 1e6:8.1f}"
        f"{cost.disk_bytes / days / 1e6:13.0f}{cost.written_bytes / days / 1e6:10.0f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--load", choices=[load.name for load in LOADS], action="append")
    parser.add_argument("--folder", type=Path, help="on the disk to measure")
    options = parser.parse_args()
    for load in LOADS:
        if options.load and load.name not in options.load:
            continue
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            measure(load, Path(folder), options.seconds)


if __name__ == "__main__":
    main()
