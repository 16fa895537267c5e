"""One Modbus TCP connection, reading registers only. The only module that knows pymodbus.

Every byte that arrives is checked against "MODBUS Messaging on TCP/IP" 3.1.3 (MBAP header) and the
"MODBUS Application Protocol" V1.1b3 6.3, 6.4 and 7 before pymodbus parses it: pymodbus would wait
for the rest of garbage until its timeout, and accept an answer to nobody.
"""

import asyncio
import logging
import socket
from dataclasses import dataclass
from typing import Final

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ExceptionResponse, ModbusPDU

from gateway.errors import ConnectorError
from gateway.profiles.profile import Function

TIMEOUT_S = 1.0  # a meter answers within 100 ms, a serial gateway within 500 ms
RETRIES = 3
FRAME_GAP_S = (
    0.025  # a serial bus behind a gateway needs 3.5 characters of silence: 4 ms at 9600 Bd
)
BLOCK_REGISTERS_MAX = 125  # Application Protocol 6.3
FRAME_BYTES_MAX = 260  # Messaging on TCP/IP 3.1: MBAP header and a PDU of 253 bytes

LINE_CHARS_MAX = 200
CLOSED = "the device closed the connection"
_HEADER_BYTES = 8  # MBAP header (7) and the function code
_FUNCTION_CODES: Final[dict[Function, int]] = {"holding": 3, "input": 4}
_BUSY_CODES = (5, 6)  # Application Protocol 7: the request is fine, the device needs a moment
_EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address: no such register",
    3: "illegal data value",
    4: "device failure",
    5: "acknowledged, not ready yet",
    6: "device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target device failed to respond",
}


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for an answer, and how often to ask again at once."""

    timeout_s: float = TIMEOUT_S  # at most TIMEOUT_S
    silence_retries: int = RETRIES
    busy_retries: int = RETRIES


PATIENT = Patience()
ONCE = Patience(silence_retries=0, busy_retries=0)


class NoAnswerError(ConnectorError):
    """Nothing that answers the request came in time: the one failure that may pass by itself."""


class ModbusClient:
    """A connection to `host:port`, opened when first needed and again after it was lost.

    One caller at a time; between two frames the bus is silent for `FRAME_GAP_S`.
    """

    def __init__(self, host: str, port: int) -> None:
        logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # the poller says it, once
        self._host = host
        self._port = port
        self._driver: AsyncModbusTcpClient | None = None
        self._is_waiting = False
        self._silent_until = 0.0
        self._asked = b""  # the header of the request under way
        self._stray = ""  # what came instead of its answer

    async def connect(self) -> None:
        """Open the connection if it is not open; raises `ConnectorError`."""
        if self._driver is not None and self._driver.connected:
            return
        self.close()
        driver = AsyncModbusTcpClient(
            self._host,
            port=self._port,
            timeout=TIMEOUT_S,
            retries=0,  # ours use a new transaction id each, so a late answer matches nothing
            reconnect_delay=0,
            trace_packet=self._inspect,
            trace_connect=self._notice,
        )
        try:
            async with asyncio.timeout(TIMEOUT_S):
                # Not driver.connect(): that keeps the reason of a failure to itself.
                await driver.ctx.call_create()
        except TimeoutError:
            raise self._error(f"no connection within {TIMEOUT_S:g} s") from None
        except OSError as error:
            raise self._error(f"no connection: {_explain(error)}") from None
        self._driver = driver

    def close(self) -> None:
        """Close the connection; it may be opened again."""
        if self._driver is not None:
            self._driver.close()
            self._driver = None

    async def read_block(
        self,
        function: Function,
        address: int,
        count: int,
        unit_id: int,
        *,
        patience: Patience = PATIENT,
    ) -> list[int]:
        """Return `count` 16-bit registers from protocol address `address`.

        Silence and a busy device are asked again as `patience` says. Raises `NoAnswerError` for
        silence, and `ConnectorError` for no connection, an exception answer, or a wrong answer;
        each is one line.
        """
        assert 1 <= count <= BLOCK_REGISTERS_MAX, "a profile plans blocks within the limit"
        silences = busies = 0
        while True:
            await self._wait_for_gap()
            await self.connect()
            try:
                response = await self._request(
                    function, address, count, unit_id, patience.timeout_s
                )
            except NoAnswerError:
                if silences < patience.silence_retries:
                    silences += 1
                    continue
                # A half-open connection looks just like this; only a new one can tell.
                self.close()
                raise
            except ConnectorError:
                self.close()
                raise
            is_busy = getattr(response, "exception_code", None) in _BUSY_CODES
            if is_busy and busies < patience.busy_retries:
                busies += 1
                continue
            return self._registers(response, function, address, count)

    async def _wait_for_gap(self) -> None:
        delay_s = self._silent_until - asyncio.get_running_loop().time()
        if delay_s > 0:
            await asyncio.sleep(delay_s)

    async def _request(
        self, function: Function, address: int, count: int, unit_id: int, timeout_s: float
    ) -> ModbusPDU:
        assert self._driver is not None, "connect() comes first"
        driver = self._driver
        read = driver.read_input_registers if function == "input" else driver.read_holding_registers
        self._stray = ""
        self._is_waiting = True
        timer = asyncio.get_running_loop().call_later(timeout_s, self._give_up, unit_id)
        try:
            response = await read(address, count=count, device_id=unit_id)
        except ModbusException:
            if not driver.connected:
                raise self._error(CLOSED) from None
            raise self._silence(unit_id) from None
        finally:
            timer.cancel()
            self._is_waiting = False
            self._silent_until = asyncio.get_running_loop().time() + FRAME_GAP_S
            _heed_cancellation()
        if (response.dev_id, response.transaction_id) != (unit_id, driver.ctx.next_tid):
            raise self._error(f"unit {unit_id}: the answer belongs to another request")
        return response

    def _registers(
        self, response: ModbusPDU, function: Function, address: int, count: int
    ) -> list[int]:
        """Return the registers of an answer that fits the question; raises `ConnectorError`."""
        what = f"unit {response.dev_id}, {count} {function} registers from {address}"
        if isinstance(response, ExceptionResponse):
            code = response.exception_code
            raise self._error(f"{what}: exception {code}, {_EXCEPTIONS.get(code, 'unknown')}")
        if response.function_code != _FUNCTION_CODES[function]:
            raise self._error(f"{what}: an answer of function {response.function_code}")
        if len(response.registers) != count:
            raise self._error(f"{what}: an answer with {len(response.registers)} registers")
        return list(response.registers)

    def _inspect(self, is_sending: bool, data: bytes) -> bytes:
        """Let only well-formed answers through; pymodbus calls this with all unread bytes."""
        if is_sending:
            self._asked = data[:7]
            return data
        fault = find_fault(data)
        if fault is None:
            self._stray = find_stray(data, self._asked) or self._stray
            return data
        self._fail(self._error(fault))
        return b""

    def _notice(self, is_connected: bool) -> None:
        if not is_connected:
            self._fail(self._error(CLOSED))

    def _give_up(self, unit_id: int) -> None:
        self._fail(self._silence(unit_id))

    def _fail(self, error: ConnectorError) -> None:
        """End the request that is under way; pymodbus would wait for its timeout."""
        if self._driver is None or not self._is_waiting:
            return
        future = self._driver.ctx.response_future
        if not future.done():
            future.set_exception(error)

    def _silence(self, unit_id: int) -> NoAnswerError:
        stray = f", but {self._stray}" if self._stray else ""
        return NoAnswerError(f"{self._host}:{self._port}: unit {unit_id} does not answer{stray}")

    def _error(self, text: str) -> ConnectorError:
        return ConnectorError(f"{self._host}:{self._port}: {text}")


def find_fault(data: bytes) -> str | None:
    """Return why `data` cannot be the beginning of answers to our requests, or None."""
    while len(data) >= _HEADER_BYTES:
        protocol, length = int.from_bytes(data[2:4], "big"), int.from_bytes(data[4:6], "big")
        function = data[7]
        if protocol != 0 or length + 6 > FRAME_BYTES_MAX:
            return "what arrives is not Modbus TCP"
        if function & 0x7F not in _FUNCTION_CODES.values():
            return f"an answer of function {function & 0x7F}, which was not asked"
        if function & 0x80:
            expected = 3
        elif len(data) > _HEADER_BYTES:
            expected = 3 + data[_HEADER_BYTES]
        else:
            return None if length > 3 else "an answer without registers"
        if length != expected or (expected - 3) % 2:
            return f"an answer whose length {length} contradicts its content"
        data = data[6 + length :]
    return None


def find_stray(data: bytes, asked: bytes) -> str | None:
    """Return how the last answer in well-formed `data` misses the request with header `asked`."""
    stray = None
    while len(data) >= _HEADER_BYTES:
        if data[6] != asked[6]:
            stray = f"unit {data[6]} does"
        elif data[:2] != asked[:2]:
            stray = "an answer to another request came"
        data = data[6 + int.from_bytes(data[4:6], "big") :]
    return stray


def _heed_cancellation() -> None:
    """Raise a cancellation that pymodbus swallowed.

    It waits with `asyncio.wait_for`, which before Python 3.12 returns the answer and forgets the
    cancellation if both come at once; the gateway could not stop then.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _explain(error: OSError) -> str:
    match error:
        case ConnectionRefusedError():
            return "refused: nothing listens on this port of the device"
        case socket.gaierror():
            return "the host name is not known: check the address or the name server"
        case _:
            return (str(error) or type(error).__name__).splitlines()[0][:LINE_CHARS_MAX]
