"""A profile, a store that remembers, scripted Modbus servers, and the simulated meter's process."""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from gateway.clock import SystemClock
from gateway.connectors.modbus.connector import ModbusConnector
from gateway.model.device import DeviceConfig, ModbusTcpAddress
from gateway.model.observation import Observation
from gateway.ports import StoreDone
from gateway.profiles.profile import Function, ModbusMap, Profile, RegisterMeasure

START_TIMEOUT_S = 20.0

Answer = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


class RecordingSink:
    """The store and the availability of devices, as the connector tells them."""

    def __init__(self) -> None:
        self.observations: list[Observation] = []
        self.availability: list[tuple[str, bool]] = []
        self._changed = asyncio.Event()

    def submit(self, observation: Observation, done: StoreDone) -> None:
        self.observations.append(observation)
        self._changed.set()

    def set_available(self, name: str, is_up: bool) -> None:
        self.availability.append((name, is_up))
        self._changed.set()

    def of(self, device: str) -> list[Observation]:
        return [one for one in self.observations if one.device == device]

    def changes_of(self, device: str) -> list[bool]:
        return [is_up for name, is_up in self.availability if name == device]

    async def wait_until(self, condition: Callable[[], bool], timeout_s: float) -> None:
        async with asyncio.timeout(timeout_s):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


@pytest.fixture
def sink() -> RecordingSink:
    return RecordingSink()


@pytest.fixture
def profile() -> Profile:
    """Two registers, two blocks: the reading is right only if both blocks are of one device."""
    places: tuple[tuple[str, Function, int], ...] = (
        ("first", "input", 10),
        ("second", "holding", 500),
    )
    quantities = tuple(
        RegisterMeasure(
            name=name, unit="W", scale=0, function=function, address=address, type="uint16"
        )
        for name, function, address in places
    )
    return Profile(
        name="two-blocks",
        vendor="Test",
        model="Test",
        transport="modbus",
        samples=(),
        modbus=ModbusMap(quantities=quantities),
    )


@pytest.fixture
def run_connector(sink: RecordingSink):
    """Return a context manager that runs a connector for `(name, profile, port, unit, interval)`."""

    @contextlib.asynccontextmanager
    async def run(*devices: tuple[str, Profile, int, int, int]) -> AsyncIterator[None]:
        pairs = [
            (
                DeviceConfig(
                    name, profile.name, ModbusTcpAddress("127.0.0.1", port, unit), interval_ms
                ),
                profile,
            )
            for name, profile, port, unit, interval_ms in devices
        ]
        connector = ModbusConnector(pairs, sink, sink.set_available, SystemClock())
        async with asyncio.TaskGroup() as group:
            task = group.create_task(connector.run())
            try:
                yield
            finally:
                task.cancel()

    return run


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Answer], Awaitable[int]]]:
    """Start servers that read one request after the other and answer as told; return the port."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(answer: Answer) -> int:
            async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                try:
                    while request := await reader.readexactly(12):
                        await answer(request, writer)
                except (asyncio.IncompleteReadError, ConnectionError):
                    pass  # the gateway hung up
                finally:
                    writer.close()

            server = await asyncio.start_server(handle, "127.0.0.1", 0)
            stack.push_async_callback(server.wait_closed)
            stack.callback(server.close)
            port: int = server.sockets[0].getsockname()[1]
            return port

        yield start


class MeterProcess:
    """The simulated meter as a process; it can be killed and started again on the same port."""

    def __init__(self, folder: Path) -> None:
        self._port_file = folder / "port"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def start(self, *options: str, profile: str = "eastron-sdm630") -> int:
        self._port_file.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            (
                *(sys.executable, "-m", "gateway.connectors.simulated.modbus_server"),
                *("--profile", profile, "--port", str(self.port)),
                *("--port-file", str(self._port_file), *options),
            ),
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._port_file.exists():
            assert self._process.poll() is None, "the meter ended before it listened"
            assert time.monotonic() < deadline, "the meter does not listen"
            time.sleep(0.02)
        self.port = int(self._port_file.read_text())
        return self.port

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def terminate(self) -> int:
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(10)

    def wait(self) -> int:
        assert self._process is not None
        return self._process.wait(10)


@pytest.fixture
def meter(tmp_path: Path) -> Iterator[MeterProcess]:
    process = MeterProcess(tmp_path)
    yield process
    if process._process is not None:
        process.kill()
