"""What the light role costs: memory and processor beside a full node, bytes to and from peers, epochs to follow.

    .venv/bin/python -m tests.benchmarks.bench_light [--seconds 300] [--epochs 1000]

First two real gateways on loopback, a full one that is the network's only agent and a light one with a
device, a block each 3 s; the light one's bytes are counted by itself, as it tells them. Then, in this
process, 1,000 epochs that each exchange a third of the agents are followed by 4 and by 99 of them, and sizes
of answers are taken.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from gateway.app.founding import NetworkOptions, found_network, make_card
from gateway.app.operator import Operator
from gateway.app.provision import Membership, initialise
from gateway.app.registry import add_device
from gateway.clock import SystemClock
from gateway.demo.stage import find_free_port
from gateway.ledger_host.light.keeping import encode_end, open_follower
from gateway.ledger_host.peers.addresses import format_peer
from gateway.model.ledger_api import PeersReply
from gateway.settings import Home, write_atomic
from gateway.smart_agent.providers.registry import DEFAULT_URI
from ledger.codec.canonical import encode
from ledger.codec.text import parse_address
from ledger.light.follower import HeaderFollower, Taken
from ledger.network.wire import PeerAddress
from ledger.storage.trail import TrailStore
from ledger.types.genesis import Allocation
from tests.benchmarks.bench_idle import (
    DAY_S,
    DEVICE,
    SLOT_MS,
    device_publishes,
    running,
    wait_until_blocks_flow,
)
from tests.benchmarks.process_costs import Cost, read_costs, total
from tests.support.light_lab import BLOCKS_PER_EPOCH, START_MS, HeaderChain
from tests.support.transactions import Person

SETTLE_S = 60.0  # the light gateway is registered, leased, and its first anchors are final
EPOCHS_AT_ONCE = 32
HEARTBEAT_MS = 30_000


def make_pair(folder: Path, anchor_age_ms: int) -> dict[str, Home]:
    """Found a network of one agent that a light gateway with a device follows."""
    homes = {name: Home(folder / name) for name in ("full", "light")}
    full, light = (make_card(home, DEFAULT_URI) for home in homes.values())
    allocations = (Allocation(parse_address(light.metering), 10**12),)
    options = NetworkOptions(SLOT_MS, HEARTBEAT_MS, allocations=allocations)
    genesis = found_network([full], "bench", SystemClock(), options)
    port = find_free_port()
    peer = format_peer(PeerAddress(parse_address(full.node), "127.0.0.1", port))
    memberships = {
        "full": Membership(genesis=genesis, listen=f"127.0.0.1:{port}"),
        "light": Membership(genesis=genesis, peers=(peer,), role="light"),
    }
    for name, home in homes.items():
        listen = f"127.0.0.1:{find_free_port()}"
        initialise(home, name, SystemClock(), listen=listen, membership=memberships[name])
        settings = home.settings.read_text().replace("enabled = true ", "enabled = false")
        settings = settings.replace("age_max_ms = 10000", f"age_max_ms = {anchor_age_ms}")
        write_atomic(home.settings, settings.encode())
    add_device(homes["light"], DEVICE, "json-energy", None, 1_000)
    return homes


def ask_traffic(home: Home) -> PeersReply:
    with Operator(home, "bench-light") as operator:
        return operator.ask("peers", {}, PeersReply)


def measure_pair(folder: Path, readings_per_s: int, anchor_age_ms: int, seconds: float) -> None:
    """Run the pair and print what each part of it costs."""
    homes = make_pair(folder, anchor_age_ms)
    with running(homes) as pids:
        wait_until_blocks_flow(homes, 1)
        with device_publishes(homes["light"], readings_per_s):
            time.sleep(SETTLE_S)
            traffic = ask_traffic(homes["light"])
            before = {name: read_costs(pid) for name, pid in pids.items()}
            started = time.monotonic()
            time.sleep(seconds)
            elapsed = time.monotonic() - started
            after = {name: read_costs(pid) for name, pid in pids.items()}
            now = ask_traffic(homes["light"])
    heard = (now.heard_bytes - traffic.heard_bytes) * DAY_S / elapsed / 1e6
    said = (now.said_bytes - traffic.said_bytes) * DAY_S / elapsed / 1e6
    print(
        f"\n{readings_per_s} readings/s, anchors each {anchor_age_ms / 1000:g} s, {elapsed:.0f} s"
    )
    print(f"the light one hears {heard:.2f} MB and says {said:.2f} MB a day")
    for name, costs in after.items():
        ledger = {
            kind: cost for kind, cost in costs.items() if kind in ("ledger", "contract worker")
        }
        for kind, cost in ledger.items():
            print_cost(f"{name}, {kind}", cost.since(before[name][kind]), elapsed)
        spent = [cost.since(before[name][kind]) for kind, cost in ledger.items()]
        print_cost(f"{name}, ledger in all", total(spent), elapsed)


def print_cost(label: str, cost: Cost, seconds: float) -> None:
    print(
        f"{label:24} RSS {cost.rss_bytes / 1e6:6.1f} MB  PSS {cost.pss_bytes / 1e6:6.1f} MB"
        f"  CPU {100 * cost.cpu_s / seconds:5.2f} %  disk {cost.disk_bytes * DAY_S / seconds / 1e6:7.1f} MB/day",
        flush=True,
    )


def make_sets(agents: int, epochs: int) -> list[Sequence[Person]]:
    """A third of the agents is exchanged each epoch."""
    people = [Person(f"agent {number}") for number in range(2 * agents)]
    step = max(1, agents // 3)
    sets: list[Sequence[Person]] = []
    for epoch in range(epochs + 1):
        seated = [people[(epoch * step + place) % len(people)] for place in range(agents)]
        sets.append(sorted(seated, key=lambda one: one.address))
    return sets


def follow(agents: int, epochs: int, path: Path) -> None:
    """Follow that many epochs into a file; print time and bytes."""
    chain = HeaderChain(make_sets(agents, epochs), step_ms=SLOT_MS // 100)
    contents = []
    for first in range(0, epochs, EPOCHS_AT_ONCE):
        last = min(first + EPOCHS_AT_ONCE, epochs)
        newest = last * BLOCKS_PER_EPOCH + 1 if last == epochs else None
        contents.append(chain.headers(range(first, last), newest))
    store = TrailStore.create_or_open(path, chain.chain_id)
    follower = HeaderFollower(chain.genesis)
    started, cpu_started = time.perf_counter(), time.process_time()
    for content in contents:
        taken = follower.take_headers(content, START_MS)
        assert isinstance(taken, Taken), taken
        newest_final = None if follower.newest is None else encode(follower.newest.final)
        store.save([encode_end(end) for end in taken.ends], newest_final, "")
    elapsed, cpu = time.perf_counter() - started, time.process_time() - cpu_started
    store.close()
    store = TrailStore.create_or_open(path, chain.chain_id)
    opened = time.perf_counter()
    open_follower(chain.genesis, None, store)
    opened = time.perf_counter() - opened
    store.close()
    size = sum(map(len, contents))
    print(
        f"{agents} agents, {epochs} epochs: {elapsed:.2f} s ({cpu:.2f} s of processor), {size / 1e6:.2f} MB heard,"
        f" {path.stat().st_size / 1e6:.2f} MB kept, opened again in {1_000 * opened:.0f} ms"
    )
    print_sizes(agents, chain)


def print_sizes(agents: int, chain: HeaderChain) -> None:
    keys = tuple(b"key %d" % number for number in range(4))
    sizes = {
        "header and certificate": len(encode(chain.final(1))),
        "one proven value with them": len(chain.state(1, keys[0])),
        "four proven values with them": len(chain.state(1, *keys)),
        "a transaction's evidence": len(chain.inclusion(2, 1)),
        "an end block with other agents": len(encode(chain.end(0))),
    }
    for what, size in sizes.items():
        print(f"  {what}: {size} bytes")
    headers = 144 * sizes["header and certificate"]
    ends = 24 * sizes["an end block with other agents"]
    print(
        f"  at rest: {headers / 1e3:.0f} kB of headers a day, and {ends / 1e3:.0f} kB where agents change hourly"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--epochs", type=int, default=1_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for number, (readings, age_ms) in enumerate(((0, 10_000), (1, 60_000), (1, 10_000))):
            measure_pair(Path(folder) / str(number), readings, age_ms, options.seconds)
        for agents in (4, 99):
            follow(agents, options.epochs, Path(folder) / f"trail-{agents}.db")


if __name__ == "__main__":
    main()
