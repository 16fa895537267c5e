"""A simulated Modbus TCP meter as a process of its own: pymodbus's server behind a real socket.

It plays the register map of a device profile, for every unit id, on loopback only:

    python -m gateway.connectors.simulated.modbus_server --profile eastron-sdm630 --port 5020

Simulated time is `--start-ms` plus the elapsed time multiplied by `--speed`.
"""

import argparse
import asyncio
import logging
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from gateway.clock import Clock, SystemClock
from gateway.connectors.simulated.meter import Fault, FaultKind, Meter
from gateway.errors import ConnectorError, GatewayError, SettingsError
from gateway.model.device import PORT_MAX
from gateway.profiles.library import ProfileLibrary
from gateway.profiles.modbus_map import encode_registers, plan_blocks
from gateway.profiles.profile import Function, Profile
from gateway.settings import write_atomic

HOST = "127.0.0.1"
EVERY_UNIT = 0  # pymodbus answers with device 0 for every unit id that has none of its own
SPEED_MAX = 1_000_000

_FUNCTIONS: dict[int, Function] = {3: "holding", 4: "input"}
_NO_BITS = [SimData(0, values=False, count=16, datatype=DataType.BITS)]


class SimulatedMeter:
    """The registers of a meter, always as of now."""

    def __init__(self, profile: Profile, meter: Meter, speed: int, clock: Clock) -> None:
        self._profile = profile
        self._meter = meter
        self._speed = speed
        self._clock = clock
        self._start_ns = clock.monotonic_ns()

    def device(self) -> SimDevice:
        """Return what pymodbus's server needs: the register layout, and a call at each request."""
        layout = (_NO_BITS, _NO_BITS, self._layout("holding"), self._layout("input"))
        return SimDevice(EVERY_UNIT, layout, action=self._answer)

    def registers(self) -> dict[tuple[Function, int], int]:
        """Return the meter's registers at this moment; gaps that a block bridges hold 0."""
        elapsed_ns = self._clock.monotonic_ns() - self._start_ns
        time_ms = self._meter.start_ms + elapsed_ns * self._speed // 1_000_000
        words: dict[tuple[Function, int], int] = {
            (block.function, block.address + offset): 0
            for block in plan_blocks(self._profile)
            for offset in range(block.count)
        }
        values = self._meter.measure(self._profile.measures, time_ms)
        return words | encode_registers(self._profile, values)

    def _layout(self, wanted: Function) -> list[SimData]:
        words = self.registers()
        addresses = sorted(address for function, address in words if function == wanted)
        unused = [SimData(0, datatype=DataType.INVALID)]
        return [SimData(address, datatype=DataType.REGISTERS) for address in addresses] or unused

    async def _answer(  # noqa: PLR0917 - pymodbus's signature
        self,
        function_code: int,
        first_address: int,
        address: int,
        count: int,
        registers: list[int],
        new_values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        """Put the present values where pymodbus is about to read `count` words."""
        function = _FUNCTIONS.get(function_code)
        if function is None or new_values is not None:
            return ExcCodes.ILLEGAL_FUNCTION
        words = self.registers()
        for one in range(address, address + count):
            registers[one - first_address] = words[function, one]
        return None


async def serve(
    simulated: SimulatedMeter, port: int, port_file: Path | None, stop_after_s: float | None
) -> None:
    """Serve until SIGTERM, SIGINT or `stop_after_s`; raises `ConnectorError` if it cannot listen."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    if stop_after_s is not None:
        loop.call_later(stop_after_s, stopped.set)
    server = ModbusTcpServer(simulated.device(), address=(HOST, port))
    try:
        await server.serve_forever(background=True)
    except RuntimeError:
        raise ConnectorError(f"{HOST}:{port}: cannot listen: choose another --port") from None
    listener = cast("asyncio.Server", server.transport)
    if port_file is not None:
        write_atomic(port_file, str(listener.sockets[0].getsockname()[1]).encode())
    await stopped.wait()
    server.close()


def parse_fault(text: str) -> tuple[FaultKind, float]:
    """Return the fault and its delay in real seconds, from for example `reset-after=10`."""
    name, _, delay = text.partition("=")
    try:
        kind, delay_s = FaultKind(name), float(delay)
    except ValueError:
        names = "|".join(kind.value for kind in FaultKind)
        raise argparse.ArgumentTypeError(f"{text!r} is not {names}=SECONDS") from None
    if not 0 <= delay_s < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r}: the seconds must be 0 to 1000000")
    return kind, delay_s


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's options; ends the process with one line if they are wrong."""
    parser = argparse.ArgumentParser(prog="modbus_server", description="a simulated Modbus meter")
    parser.add_argument("--profile", required=True, help="name of a Modbus device profile")
    parser.add_argument("--port", type=int, required=True, help="TCP port on loopback; 0: any")
    parser.add_argument("--port-file", type=Path, help="where to write the port once listening")
    parser.add_argument("--speed", type=int, default=1, help="simulated seconds per second")
    parser.add_argument("--start-ms", type=int, help="simulated Unix time at the start: now")
    parser.add_argument("--seed", type=int, default=1, help="which household")
    parser.add_argument("--fault", type=parse_fault, help="for example reset-after=10 (seconds)")
    options = parser.parse_args(arguments)
    if not 0 <= options.port <= PORT_MAX:
        parser.error(f"--port must be 0 to {PORT_MAX}")
    if not 1 <= options.speed <= SPEED_MAX:
        parser.error(f"--speed must be 1 to {SPEED_MAX}")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the simulated meter of a command line."""
    options = parse_arguments(arguments)
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # requests of others are not news
    clock = SystemClock()
    start_ms = clock.now_ms() if options.start_ms is None else options.start_ms
    fault, stop_after_s = None, None
    if options.fault is not None:
        kind, delay_s = options.fault
        fault = Fault(kind, start_ms + int(delay_s * 1000) * options.speed)
        stop_after_s = delay_s if kind is FaultKind.STOP else None
    try:
        profile = ProfileLibrary(None).get(options.profile)
        if profile.transport != "modbus":
            raise SettingsError(f"profile {profile.name} is not a Modbus profile")
        meter = Meter(start_ms, options.seed, fault)
        simulated = SimulatedMeter(profile, meter, options.speed, clock)
        asyncio.run(serve(simulated, options.port, options.port_file, stop_after_s))
    except GatewayError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
