"""Polls the devices behind one Modbus TCP connection, one after the other, each at its own rate.

A device that is lost is asked ever more rarely. Where several devices share the connection, a silent
one costs the others one timeout per attempt at most: it is asked again not at once but when it is
due next, and yields to the others. A poll becomes an observation only if every block was read.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gateway.clock import Clock
from gateway.connectors.modbus.client import (
    ONCE,
    PATIENT,
    RETRIES,
    TIMEOUT_S,
    ModbusClient,
    NoAnswerError,
    Patience,
)
from gateway.errors import ConnectorError, Rejected
from gateway.model.device import DeviceConfig
from gateway.model.observation import Observation, StoredReading
from gateway.ports import ObservationSink
from gateway.profiles.modbus_map import RegisterBlock, decode_registers, plan_blocks
from gateway.profiles.profile import Function, Profile

logger = logging.getLogger(__name__)

BACK_OFF_STEP_MS = 2_000
BACK_OFF_MAX_MS = 300_000
SHORT_TIMEOUT_MIN_S = 0.1  # what a meter needs to answer
SHORT_TIMEOUT_PER_CENT = 80  # of the fastest interval: the rest is for the other devices' answers
FULL_TIMEOUT_EVERY = 6  # attempts: the first, then not before the third probe
REFUSAL_LOG_INTERVAL_NS = 60_000_000_000  # an overloaded store refuses by the thousand
NS_PER_MS = 1_000_000

Availability = Callable[[str, bool], None]


def get_back_off_ms(failures: int) -> int:
    """Return how long to leave a device alone after so many failed polls in a row."""
    return min(BACK_OFF_STEP_MS * failures, BACK_OFF_MAX_MS)


def get_shared_patience(silences: int, other_interval_ms: int, *, is_lost: bool) -> Patience:
    """Return the patience with a device that shares its connection and missed `silences` polls.

    The others wait meanwhile, the fastest every `other_interval_ms`: a device that was silent
    before has less than that, so that they lose one poll at most. But every `FULL_TIMEOUT_EVERY`
    attempts it has `TIMEOUT_S`, or one that is slow by nature would never be found again.
    """
    timeout_s = TIMEOUT_S
    if silences % FULL_TIMEOUT_EVERY:
        share_s = other_interval_ms * SHORT_TIMEOUT_PER_CENT / 100_000
        timeout_s = min(TIMEOUT_S, max(SHORT_TIMEOUT_MIN_S, share_s))
    return Patience(timeout_s, silence_retries=0, busy_retries=0 if is_lost else RETRIES)


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
    failures: int = 0  # since it is lost
    silences: int = 0  # in a row
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
                await self._poll(await self._wait_for_turn())
        finally:
            self._client.close()

    async def _wait_for_turn(self) -> PolledDevice:
        """Return a device that is due; a silent one yields to all that are due within a timeout."""
        while True:
            now_ns = self._clock.monotonic_ns()
            due = [device for device in self._devices if device.due_ns <= now_ns]
            if due:
                return min(due, key=_get_turn_ns)
            next_ns = min(device.due_ns for device in self._devices)
            await asyncio.sleep((next_ns - now_ns) / 1e9)

    async def _poll(self, device: PolledDevice) -> None:
        try:
            registers = await self._read(device)
        except NoAnswerError as error:
            self._mark_silent(device, error)
            return
        except ConnectorError as error:
            self._mark_lost(device, error)
            return
        self._mark_available(device)
        now_ns = self._clock.monotonic_ns()
        device.due_ns = get_next_due_ns(device.due_ns, device.config.interval_ms, now_ns)
        self._submit(device, registers)

    async def _read(self, device: PolledDevice) -> dict[tuple[Function, int], int]:
        assert device.config.address is not None, "a Modbus device has an address"
        patience = self._get_patience(device)
        registers: dict[tuple[Function, int], int] = {}
        for block in device.blocks:
            values = await self._client.read_block(
                block.function,
                block.address,
                block.count,
                device.config.address.unit_id,
                patience=patience,
            )
            registers |= {
                (block.function, block.address + offset): value
                for offset, value in enumerate(values)
            }
        return registers

    def _get_patience(self, device: PolledDevice) -> Patience:
        others_ms = [one.config.interval_ms for one in self._devices if one is not device]
        if others_ms:
            return get_shared_patience(
                device.silences, min(others_ms), is_lost=device.is_available is False
            )
        return ONCE if device.failures else PATIENT

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

    def _mark_silent(self, device: PolledDevice, error: NoAnswerError) -> None:
        """Ask once more when it is due, unless it was asked again already or too often."""
        device.silences += 1
        is_shared = len(self._devices) > 1
        if not is_shared or device.is_available is False or device.silences > RETRIES:
            self._mark_lost(device, error)
            return
        now_ns = self._clock.monotonic_ns()
        device.due_ns = min(
            get_next_due_ns(device.due_ns, device.config.interval_ms, now_ns),
            now_ns + BACK_OFF_STEP_MS * NS_PER_MS,  # one polled every hour is not lost for hours
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
        device.failures = device.silences = 0
        if not device.is_available:
            word = "answers" if device.is_available is None else "is back"
            device.is_available = True
            logger.info("%s %s: %s", device.config.name, word, device.config.address)
            self._availability(device.config.name, True)


def _get_turn_ns(device: PolledDevice) -> int:
    """Return what orders the devices that are due; a silent one is put off, but never for good."""
    return device.due_ns + int(TIMEOUT_S * 1e9) * bool(device.silences)
