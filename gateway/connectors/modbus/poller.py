"""Polls the devices behind one Modbus TCP connection, one after the other, each at its own rate.

A device that is lost is asked ever more rarely, and only once each time, so that the others on its
connection keep their pace. A poll becomes an observation only if every block of it was read.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gateway.clock import Clock
from gateway.connectors.modbus.client import RETRIES, ModbusClient
from gateway.errors import ConnectorError, Rejected
from gateway.model.device import DeviceConfig
from gateway.model.observation import Observation, StoredReading
from gateway.ports import ObservationSink
from gateway.profiles.modbus_map import RegisterBlock, decode_registers, plan_blocks
from gateway.profiles.profile import Function, Profile

logger = logging.getLogger(__name__)

BACK_OFF_STEP_MS = 2_000
BACK_OFF_MAX_MS = 300_000
REFUSAL_LOG_INTERVAL_NS = 60_000_000_000  # an overloaded store refuses by the thousand
NS_PER_MS = 1_000_000

Availability = Callable[[str, bool], None]


def get_back_off_ms(failures: int) -> int:
    """Return how long to leave a device alone after so many failed polls in a row."""
    return min(BACK_OFF_STEP_MS * failures, BACK_OFF_MAX_MS)


def get_next_due_ns(due_ns: int, interval_ms: int, now_ns: int) -> int:
    """Return the next time on a device's fixed grid; polls that were missed are skipped."""
    interval_ns = interval_ms * NS_PER_MS
    missed = max(0, now_ns - due_ns) // interval_ns
    return due_ns + (missed + 1) * interval_ns


@dataclass(slots=True)
class PolledDevice:
    """A device and where its polling stands. `due_ns` is monotonic time."""

    config: DeviceConfig
    profile: Profile
    due_ns: int
    failures: int = 0
    is_available: bool | None = None  # None until the first poll
    problem: str = ""  # the last refusal of its registers, so that only a change is logged
    blocks: tuple[RegisterBlock, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.blocks = plan_blocks(self.profile)


class RefusalLog:
    """Logs what the store refuses, at most one line a minute, with the number of refusals."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next_ns = clock.monotonic_ns()
        self._count = 0

    def note(self, device: str, result: StoredReading | Rejected) -> None:
        """Take the outcome of one `ObservationSink.submit`."""
        if not isinstance(result, Rejected):
            return
        self._count += 1
        now_ns = self._clock.monotonic_ns()
        if now_ns >= self._next_ns:
            logger.warning(
                "%s: reading not stored: %s (%d refused so far)", device, result, self._count
            )
            self._next_ns = now_ns + REFUSAL_LOG_INTERVAL_NS


class ConnectionPoller:
    """Polls the devices of one connection. Every device's address has the same host and port."""

    def __init__(
        self,
        devices: Sequence[tuple[DeviceConfig, Profile]],
        sink: ObservationSink,
        availability: Availability,
        clock: Clock,
        refusals: RefusalLog,
    ) -> None:
        address = devices[0][0].address
        assert address is not None, "a Modbus device has an address"
        start_ns = clock.monotonic_ns()
        self._devices = [PolledDevice(config, profile, start_ns) for config, profile in devices]
        self._client = ModbusClient(address.host, address.port)
        self._sink = sink
        self._availability = availability
        self._clock = clock
        self._refusals = refusals

    async def run(self) -> None:
        """Poll until cancelled; the connection is closed then."""
        try:
            while True:
                device = min(self._devices, key=lambda device: device.due_ns)
                delay_ns = device.due_ns - self._clock.monotonic_ns()
                if delay_ns > 0:
                    await asyncio.sleep(delay_ns / 1e9)
                await self._poll(device)
        finally:
            self._client.close()

    async def _poll(self, device: PolledDevice) -> None:
        try:
            registers = await self._read(device)
        except ConnectorError as error:
            self._mark_lost(device, error)
            return
        self._mark_available(device)
        now_ns = self._clock.monotonic_ns()
        device.due_ns = get_next_due_ns(device.due_ns, device.config.interval_ms, now_ns)
        self._submit(device, registers)

    async def _read(self, device: PolledDevice) -> dict[tuple[Function, int], int]:
        assert device.config.address is not None, "a Modbus device has an address"
        retries = 0 if device.failures else RETRIES
        registers: dict[tuple[Function, int], int] = {}
        for block in device.blocks:
            values = await self._client.read_block(
                block.function,
                block.address,
                block.count,
                device.config.address.unit_id,
                retries=retries,
            )
            registers |= {
                (block.function, block.address + offset): value
                for offset, value in enumerate(values)
            }
        return registers

    def _submit(self, device: PolledDevice, registers: dict[tuple[Function, int], int]) -> None:
        name = device.config.name
        quantities = decode_registers(device.profile, registers)
        problem = str(quantities) if isinstance(quantities, Rejected) else ""
        if problem and problem != device.problem:
            logger.warning("%s: its registers make no reading: %s", name, problem)
        device.problem = problem
        if not isinstance(quantities, Rejected):
            self._sink.submit(
                Observation(name, quantities), lambda result: self._refusals.note(name, result)
            )

    def _mark_lost(self, device: PolledDevice, error: ConnectorError) -> None:
        device.failures += 1
        back_off_ms = get_back_off_ms(device.failures)
        device.due_ns = self._clock.monotonic_ns() + back_off_ms * NS_PER_MS
        if device.is_available is not False:
            device.is_available = False
            logger.warning("%s is lost: %s", device.config.name, error)
            self._availability(device.config.name, False)

    def _mark_available(self, device: PolledDevice) -> None:
        device.failures = 0
        if not device.is_available:
            word = "answers" if device.is_available is None else "is back"
            device.is_available = True
            logger.info("%s %s: %s", device.config.name, word, device.config.address)
            self._availability(device.config.name, True)
