"""Where the time of an ingested message goes inside of the gateway: microseconds for each part.

    python -m tests.benchmarks.bench_ingest_parts [--rounds 300] [--directory DIR]

Bytes are handed to the broker's connections and taken from them without a socket: neither the kernel
nor the event loop's transports count. Three times the same rounds, each with one part more: a sink
that only counts, then one that decodes, then the store. What all connections received in a round goes
to the sink in one call of the next turn, which is counted by itself. A part is the difference; of the rounds the
tenth percentile counts, so that what else the machine does matters little.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import uvloop

from gateway.broker.collector import Collector
from gateway.broker.connection import Connection, ConnectionHost
from gateway.broker.core import BrokerCore
from gateway.broker.gate import ConnectionGate
from gateway.broker.link import LinkContext
from gateway.broker.ports import VolatileJournal
from gateway.broker.rates import DeviceRates
from gateway.broker.reporter import RefusalReporter
from gateway.broker.settings import BrokerSettings
from gateway.clock import SystemClock
from gateway.connectors.mqtt.connector import MqttConnector
from gateway.model import topics
from gateway.model.device import DeviceConfig
from gateway.model.observation import Decoded
from gateway.model.principal import Principal
from gateway.ports import DeviceMessages, TelemetrySink, TelemetrySource
from gateway.profiles.library import ProfileLibrary
from gateway.profiles.profile import Profile
from gateway.readings.store import ReadingsStore
from tests.benchmarks.ingest_gateway import NODE_ID, principal
from tests.benchmarks.ingest_generator import GATEWAY, PAYLOAD, device_name, publish, text

SHAPES = ((20, 20), (200, 2))
RING = 8  # rounds with messages of their own
PERCENTILE = 10
PUBACK_BYTES = 4
# Counted as always, and never reached: without a kernel a device sends more than any could.
UNREACHED: dict[str, Any] = {
    "messages_per_s_per_device": 1e9,
    "messages_burst_per_device": 10**9,
    "bytes_per_s_per_device": 1e12,
    "bytes_burst_per_device": 10**12,
}

# us for a message: until it is collected, in the sink's call, and outside of it until it is acknowledged
Step = tuple[float, float, float]


class Pipe(asyncio.Transport):
    """A transport that counts what is written to it."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self._count = self._wanted = 0
        self._is_reached = asyncio.Event()

    async def wait_for(self, wanted: int) -> None:
        """Return when so many bytes have been written since the last call."""
        self._wanted = wanted
        if self._count < wanted:
            self._is_reached.clear()
            await self._is_reached.wait()
        self._count = 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self if name == "socket" else super().get_extra_info(name, default)

    def setsockopt(self, *option: int) -> None:
        """It stands for its socket, too."""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """It takes everything."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._count += len(data)
        if self._count >= self._wanted:
            self._is_reached.set()

    def get_write_buffer_size(self) -> int:
        return 0

    def is_reading(self) -> bool:
        return True

    def pause_reading(self) -> None:
        """Nothing is read from it."""

    def resume_reading(self) -> None:
        """Nothing is read from it."""

    def close(self) -> None:
        raise AssertionError("the broker closed a connection")

    abort = close


class Trusting:
    async def authenticate(
        self, client_id: str, username: str, password: bytes, address: str
    ) -> Principal | None:
        return principal(username)


class CountingSink:
    """Answers in the next turn; as a `MeasuredSink` it stands behind the decoder."""

    def __init__(self) -> None:
        self._waiting: dict[TelemetrySource, int] = {}

    def accept(self, messages: Sequence[DeviceMessages]) -> None:
        for one in messages:
            self._count(one.source, len(one.payloads))

    def take(
        self, messages: Sequence[DeviceMessages], decoded: Sequence[Sequence[Decoded]]
    ) -> None:
        self.accept(messages)

    def _count(self, source: TelemetrySource, count: int) -> None:
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._settle)
        self._waiting[source] = self._waiting.get(source, 0) + count

    def _settle(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for source, count in waiting.items():
            source.settled(count)


class TimedSink:
    """Notes how long the sink behind it takes messages."""

    def __init__(self, sink: TelemetrySink) -> None:
        self._sink = sink
        self._elapsed = 0.0

    def accept(self, messages: Sequence[DeviceMessages]) -> None:
        started = time.perf_counter()
        self._sink.accept(messages)
        self._elapsed += time.perf_counter() - started

    def take_elapsed(self) -> float:
        elapsed, self._elapsed = self._elapsed, 0.0
        return elapsed


def make_host(sink: TelemetrySink, group: asyncio.TaskGroup) -> ConnectionHost:
    limits, clock = BrokerSettings(GATEWAY, **UNREACHED), SystemClock()
    reporter = RefusalReporter(GATEWAY, lambda _topic, _payload: None, clock)
    core = BrokerCore(limits, Collector(sink), reporter, clock, VolatileJournal())
    spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]] = group.create_task
    context = LinkContext(core, lambda: "nobody")
    gate, rates = ConnectionGate(limits), DeviceRates(limits)
    return ConnectionHost(context, Trusting(), gate, rates, clock, set(), spawn)


async def connect(host: ConnectionHost, number: int) -> tuple[Connection, Pipe]:
    connection, pipe, name = Connection(host), Pipe(), text(device_name(number))
    connection.connection_made(pipe)
    body = text("MQTT") + b"\4\xc2\0\0" + name + name + text("password")
    connection.data_received(bytes((0x10, len(body))) + body)
    await pipe.wait_for(1)
    return connection, pipe


def make_messages(number: int, window: int) -> list[bytes]:
    """Return what a device sends in each of `RING` rounds."""
    topic = text(topics.device(GATEWAY, device_name(number), "up"))
    packets = [
        publish(1, topic, (place + 1).to_bytes(2, "big"), PAYLOAD % ((number + place,) * 3))
        for place in range(RING * window)
    ]
    return [b"".join(packets[start : start + window]) for start in range(0, len(packets), window)]


async def run_rounds(inner: TelemetrySink, clients: int, window: int, rounds: int) -> Step:
    sink = TimedSink(inner)
    async with asyncio.TaskGroup() as group:
        host = make_host(sink, group)
        pairs = [await connect(host, number) for number in range(clients)]
        messages = [make_messages(number, window) for number in range(clients)]
        collected, taken, answered = [], [], []
        for place in range(rounds):
            started = time.perf_counter()
            for (connection, _), ring in zip(pairs, messages, strict=True):
                connection.data_received(ring[place % RING])
            waiting_since = time.perf_counter()
            for _, pipe in pairs:
                await pipe.wait_for(PUBACK_BYTES * window)
            collected.append(waiting_since - started)
            taken.append(sink.take_elapsed())
            answered.append(time.perf_counter() - waiting_since - taken[-1])
    scale = 1e6 / (clients * window)
    parts = (get_percentile(times) * scale for times in (collected, taken, answered))
    return next(parts), next(parts), next(parts)


def get_percentile(times: list[float]) -> float:
    return statistics.quantiles(times, n=100)[PERCENTILE - 1]


async def measure(
    profile: Profile, shape: tuple[int, int], rounds: int, folder: Path
) -> tuple[Step, Step, Step]:
    clients, _ = shape
    store = ReadingsStore.open(folder / "readings.db", SystemClock(), NODE_ID)
    configs = [DeviceConfig(device_name(n), profile.name, None, 1000) for n in range(clients)]
    for config in configs:
        store.register_device(config.name, profile.hash)
    devices = [(config, profile) for config in configs]
    sinks = (CountingSink(), MqttConnector(devices, CountingSink()), MqttConnector(devices, store))
    counted, decoded, stored = [await run_rounds(sink, *shape, rounds) for sink in sinks]
    store.close()
    return counted, decoded, stored


def main() -> None:
    parser = argparse.ArgumentParser(description="Parts of ingest, see the module's text.")
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--directory", default=tempfile.gettempdir(), help="where to store")
    options = parser.parse_args()
    profile = ProfileLibrary(None).get("json-energy")
    print(f"{'us for a message':40}" + "".join(f"{f'{c} x {w}':>10}" for c, w in SHAPES))
    columns = []
    for shape in SHAPES:
        with tempfile.TemporaryDirectory(dir=options.directory) as folder:
            counted, decoded, stored = uvloop.run(
                measure(profile, shape, options.rounds, Path(folder))
            )
        columns.append(
            {
                "packets: parse, check, collect": counted[0],
                "decode": decoded[1] - counted[1],
                "seal and queue": stored[1] - decoded[1],
                "commit (FULL), fold, note": stored[2] - counted[2],
                "hand over, acknowledge": counted[1] + counted[2],
            }
        )
    for part in columns[0]:
        print(f"{part:40}" + "".join(f"{column[part]:10.2f}" for column in columns))


if __name__ == "__main__":
    main()
