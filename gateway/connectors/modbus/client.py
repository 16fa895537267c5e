"""One Modbus TCP connection, reading registers only. The only module that knows pymodbus.

Every byte that arrives is checked against "MODBUS Messaging on TCP/IP" 3.1.3 (MBAP header) and the
"MODBUS Application Protocol" V1.1b3 6.3, 6.4 and 7 before pymodbus parses it: pymodbus would wait
for the rest of garbage until its timeout, and accept an answer to nobody.
"""

import asyncio
import logging
import socket
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
        retries: int = RETRIES,
    ) -> list[int]:
        """Return `count` 16-bit registers from protocol address `address`.

        Silence and a busy device are asked again up to `retries` times. Raises `ConnectorError`
        with one line: not connected, silence, an exception answer, or an answer that is wrong.
        """
        assert 1 <= count <= BLOCK_REGISTERS_MAX, "a profile plans blocks within the limit"
        for remaining in range(retries, -1, -1):
            await self._wait_for_gap()
            await self.connect()
            try:
                response = await self._request(function, address, count, unit_id)
            except _NoAnswerError as error:
                if remaining:
                    continue
                # A half-open connection looks just like this; only a new one can tell.
                self.close()
                raise self._error(str(error)) from None
            except ConnectorError:
                self.close()
                raise
            if remaining and getattr(response, "exception_code", None) in _BUSY_CODES:
                continue
            return self._registers(response, function, address, count)
        raise AssertionError("the last attempt returns or raises")

    async def _wait_for_gap(self) -> None:
        delay_s = self._silent_until - asyncio.get_running_loop().time()
        if delay_s > 0:
            await asyncio.sleep(delay_s)

    async def _request(
        self, function: Function, address: int, count: int, unit_id: int
    ) -> ModbusPDU:
        assert self._driver is not None, "connect() comes first"
        driver = self._driver
        read = driver.read_input_registers if function == "input" else driver.read_holding_registers
        self._is_waiting = True
        try:
            response = await read(address, count=count, device_id=unit_id)
        except ModbusException:
            if not driver.connected:
                raise self._error(CLOSED) from None
            raise _NoAnswerError(f"unit {unit_id} does not answer") from None
        finally:
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
        fault = None if is_sending else find_fault(data)
        if fault is None:
            return data
        self._fail(fault)
        return b""

    def _notice(self, is_connected: bool) -> None:
        if not is_connected:
            self._fail(CLOSED)

    def _fail(self, reason: str) -> None:
        """End the request that is under way; pymodbus would wait for its timeout."""
        if self._driver is None or not self._is_waiting:
            return
        future = self._driver.ctx.response_future
        if not future.done():
            future.set_exception(self._error(reason))

    def _error(self, text: str) -> ConnectorError:
        return ConnectorError(f"{self._host}:{self._port}: {text}")


class _NoAnswerError(Exception):
    """Nothing arrived within `TIMEOUT_S`: the one failure that is worth asking again at once."""


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
