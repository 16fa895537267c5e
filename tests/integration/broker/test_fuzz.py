"""Hostile sessions by the thousand over TCP and WebSocket, beside one client that must not notice.

SMARTSHARE_FUZZ_SECONDS says how long (600 is the full run), SMARTSHARE_FUZZ_SEED where the seeds begin.
A script of bytes belongs to its seed: `make_script(seed)` is what that client sent.
"""

import asyncio
import gc
import itertools
import os
import ssl
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from tests.integration.broker.conftest import RunningBroker, StartBroker
from tests.spec.mqtt import wire
from tests.spec.mqtt.peer import Peer, TcpStream
from tests.spec.mqtt.targets import Address, Target
from tests.spec.mqtt.wire import V5, V311, Kind, Login
from tests.support.mqtt_brokers import broker_process
from tests.support.mqtt_fuzzer import CLIENT_NAMES, Script, make_script

DURATION_S = float(os.environ.get("SMARTSHARE_FUZZ_SECONDS", "20"))
FIRST_SEED = int(os.environ.get("SMARTSHARE_FUZZ_SEED", "1"))
IN_PROCESS_S = 4.0
WORKERS = 12
CLOSED_WITHIN_S = 15.0  # after end-of-file the broker closes; the machine may be busy
SETTLED_WITHIN_S = 30.0
PLAIN_EVERY = 5
WARM_UP = 0.3  # of the time, until caches and stored sessions have their size
GROWTH_MAX_BYTES = (
    24 * 1024 * 1024
)  # full stores of retained messages and queues, and allocator's slack
KEPT_MAX_BYTES = 64 * 1024  # after hundreds of sessions: less than a few hundred bytes of each
SLOWEST_MAX_S = 10.0  # of the healthy client's round trips, on a machine shared with other tests

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(DURATION_S * 1.5 + 120),
]


class Healthy:
    """A client in a thread of its own that sends itself messages and counts what comes back."""

    def __init__(self, address: Address, login: Login) -> None:
        self.rounds = 0
        self.slowest_s = 0.0
        self.failure: Exception | None = None
        self._peer = Peer(TcpStream(address), V5).send(wire.connect(V5, "healthy", login))
        assert self._peer.expect(Kind.CONNACK).reason == 0
        self._peer.subscribe("healthy/only", qos=2)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(SETTLED_WITHIN_S)
        self._peer.close()
        if self.failure is not None:
            raise AssertionError("the healthy client was harmed") from self.failure

    def _run(self) -> None:
        try:
            while not self._stop.wait(0.01):
                self._round()
        except Exception as failure:  # noqa: BLE001 - told by `stop`, in the test's thread
            self.failure = failure

    def _round(self) -> None:
        payload, qos = b"%d" % self.rounds, self.rounds % 3
        started = time.monotonic()
        self._peer.publish("healthy/only", payload, qos)
        message = self._peer.message()
        assert (message.payload, message.qos) == (payload, qos)
        self.slowest_s = max(self.slowest_s, time.monotonic() - started)
        self.rounds += 1


@dataclass(slots=True)
class Campaign:
    """Runs scripts, several at a time, until the time is over."""

    tcp: Address
    websocket: Address | None
    username: str | None = None
    password: bytes | None = None
    tls: ssl.SSLContext | None = None
    counts: Counter[str] = field(default_factory=Counter)

    async def run(self, duration_s: float, first_seed: int) -> int:
        """Return the seed after the last one used."""
        deadline = time.monotonic() + duration_s
        seeds = itertools.count(first_seed)

        async def work() -> None:
            while time.monotonic() < deadline:
                await self._play(make_script(next(seeds), self.username, self.password))

        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(work())
        return next(seeds)

    async def _play(self, script: Script) -> None:
        address = self.websocket if script.is_websocket else self.tcp
        if address is None:
            return
        self.counts["sessions"] += 1
        self.counts["packets"] += script.packets
        writer: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(CLOSED_WITHIN_S):
                # Some speak plainly to a listener of TLS.
                tls = self.tls if script.seed % PLAIN_EVERY else None
                reader, writer = await asyncio.open_connection(*address, ssl=tls)
                await self._talk(script, reader, writer)
        except TimeoutError:
            raise AssertionError(f"seed {script.seed}: the connection was not closed") from None
        except OSError:  # reset, or closed before our end-of-file
            self.counts["cut off"] += 1
        finally:
            if writer is not None:
                writer.transport.abort()

    async def _talk(
        self, script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        for chunk in script.chunks:
            writer.write(chunk)
            if len(script.chunks) > 1:
                await asyncio.sleep(0)
        if script.ending == "abort":
            return
        if not writer.can_write_eof():  # TLS knows a goodbye instead
            writer.close()
            await writer.wait_closed()
            return
        writer.write_eof()
        while data := await reader.read(65_536):
            self.counts["bytes read"] += len(data)


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a process holds."""

    descriptors: int
    threads: int
    memory_bytes: int


def footprint(process_id: int) -> Footprint:
    process = psutil.Process(process_id)
    return Footprint(process.num_fds(), process.num_threads(), process.memory_info().rss)


def settle(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + SETTLED_WITHIN_S
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


ARGUMENTS = {
    "in memory": (),
    "on disk": ("--home", "{home}"),
    "over TLS": ("--home", "{home}", "--tls", "127.0.0.1:0", "--wss", "127.0.0.1:0"),
}


@pytest.fixture(params=ARGUMENTS)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Target]:
    arguments = ARGUMENTS[request.param]
    with broker_process(*(a.format(home=tmp_path / "home") for a in arguments)) as target:
        yield target


def campaign_against(target: Target) -> Campaign:
    if target.tls is None:
        return Campaign(target.tcp, target.websocket)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # its own authority
    return Campaign(target.tls, target.websocket_tls, tls=context)


def test_the_command_takes_no_harm(target: Target, capsys: pytest.CaptureFixture[str]):
    assert target.process is not None
    campaign = campaign_against(target)
    healthy = Healthy(target.tcp, Login())
    before = footprint(target.process.pid)
    try:
        seed = asyncio.run(campaign.run(DURATION_S * WARM_UP / len(ARGUMENTS), FIRST_SEED))
        warm = footprint(target.process.pid)
        end = asyncio.run(campaign.run(DURATION_S * (1 - WARM_UP) / len(ARGUMENTS), seed))
    finally:
        healthy.stop()

    process_id = target.process.pid
    # One connection, the healthy client's, is closed by now.
    assert settle(lambda: footprint(process_id).descriptors < before.descriptors)
    after = footprint(process_id)
    with capsys.disabled():
        print(
            f"\nfuzz: seeds {FIRST_SEED}-{end - 1}, {dict(campaign.counts)}, healthy "
            f"{healthy.rounds} rounds, slowest {healthy.slowest_s * 1e3:.0f} ms, "
            f"memory {before.memory_bytes >> 20} -> {warm.memory_bytes >> 20} (warm) -> "
            f"{after.memory_bytes >> 20} MiB"
        )
    assert after.threads <= before.threads + 1  # a worker for blocking calls may have come to life
    assert after.memory_bytes - warm.memory_bytes < GROWTH_MAX_BYTES
    assert healthy.rounds > DURATION_S / len(ARGUMENTS)
    assert healthy.slowest_s < SLOWEST_MAX_S
    assert "ERROR" not in target.log_text(), target.log_text()[-4_000:]


@pytest.mark.filterwarnings("default::ResourceWarning")  # the campaign aborts connections
def test_tasks_and_connections_end(broker: RunningBroker, caplog: pytest.LogCaptureFixture):
    """The same inside a process, where tasks can be counted."""
    password = b"service-pw"
    tasks = broker.run(lambda: len(asyncio.all_tasks()))
    healthy = Healthy(("127.0.0.1", broker.port), Login(username="service", password=password))
    campaign = Campaign(("127.0.0.1", broker.port), None, "service", password)
    try:
        asyncio.run(campaign.run(IN_PROCESS_S, FIRST_SEED))
    finally:
        healthy.stop()

    assert settle(lambda: broker.run(lambda: broker.broker.counters.connections) == 0)
    assert settle(lambda: broker.run(lambda: len(asyncio.all_tasks())) <= tasks)
    assert campaign.counts["sessions"] > 50
    assert not [record for record in caplog.records if record.exc_info is not None]


def tidy(address: Address) -> None:
    """End what sessions a campaign has left, and clear what it had retained."""
    login = Login(username="service", password=b"service-pw")
    for number in range(CLIENT_NAMES):
        peer = Peer(TcpStream(address), V311)
        peer.send(wire.connect(V311, f"fuzz{number}", login)).expect(Kind.CONNACK)
        peer.disconnect()
    peer = Peer(TcpStream(address), V311).send(wire.connect(V311, "cleaner", login))
    assert peer.expect(Kind.CONNACK).reason == 0
    peer.subscribe("#")
    for message in peer.messages():
        if message.retain:
            peer.publish(str(message.topic), b"", 1, retain=True)
    peer.disconnect()


def gateway_bytes() -> int:
    """Memory that was taken by lines of the gateway and not given back."""
    gc.collect()
    only = tracemalloc.Filter(inclusive=True, filename_pattern="*/gateway/*")
    statistics = tracemalloc.take_snapshot().filter_traces([only]).statistics("filename")
    return sum(statistic.size for statistic in statistics)


def test_nothing_is_kept_of_sessions_that_are_over(start_broker: StartBroker):
    """Memory back to the start: not what the allocator holds, but what the broker's code does."""
    broker = start_broker()
    address = ("127.0.0.1", broker.port)
    campaign = Campaign(address, None, "service", b"service-pw")
    asyncio.run(campaign.run(IN_PROCESS_S / 4, FIRST_SEED))  # caches get their size
    tidy(address)
    tracemalloc.start()
    try:
        seed = asyncio.run(campaign.run(IN_PROCESS_S / 4, FIRST_SEED + 1_000_000))
        tidy(address)
        before = broker.run(gateway_bytes)
        asyncio.run(campaign.run(IN_PROCESS_S, seed))
        tidy(address)
        after = broker.run(gateway_bytes)
    finally:
        tracemalloc.stop()

    assert campaign.counts["sessions"] > 100
    assert after - before < KEPT_MAX_BYTES, f"{before} -> {after}"


def test_a_seed_gives_the_same_bytes_again():
    assert all(make_script(seed) == make_script(seed) for seed in range(100))
    assert len({make_script(seed).chunks for seed in range(100)}) == 100
