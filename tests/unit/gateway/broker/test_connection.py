"""When the bytes of a connection leave."""

import asyncio
from typing import Any

from gateway.broker.connection import Connection, ConnectionHost
from gateway.broker.gate import ConnectionGate
from gateway.broker.link import LinkContext
from gateway.broker.rates import DeviceRates
from gateway.model.principal import Principal
from tests.support.broker_script import LIMITS, Clock, make_core


class Transport(asyncio.Transport):
    """Keeps what is written; it stands for its socket, too."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.written: list[bytes] = []

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self if name == "socket" else super().get_extra_info(name, default)

    def setsockopt(self, *option: int) -> None:
        """Take an option."""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Take limits."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def close(self) -> None:
        """End nothing."""


class NobodyKnown:
    async def authenticate(
        self, client_id: str, username: str, password: bytes, address: str
    ) -> Principal | None:
        return None


async def make_connection(group: asyncio.TaskGroup) -> tuple[Connection, Transport]:
    context = LinkContext(make_core(), lambda: "nobody")
    gate, rates = ConnectionGate(LIMITS), DeviceRates(LIMITS)
    host = ConnectionHost(context, NobodyKnown(), gate, rates, Clock(), set(), group.create_task)
    connection, transport = Connection(host), Transport()
    connection.connection_made(transport)
    return connection, transport


async def test_bytes_of_one_turn_leave_in_one_write():
    async with asyncio.TaskGroup() as group:
        connection, transport = await make_connection(group)
        connection.send(b"a")
        connection.send(b"b")
        assert transport.written == []
        await asyncio.sleep(0)
        assert transport.written == [b"ab"]
        connection.close("done")


async def test_answers_leave_at_once_behind_what_was_queued():
    async with asyncio.TaskGroup() as group:
        connection, transport = await make_connection(group)
        connection.send_now(b"a")
        assert transport.written == [b"a"]

        connection.send(b"b")
        connection.send_now(b"c")
        assert transport.written == [b"a", b"bc"]
        await asyncio.sleep(0)
        assert transport.written == [b"a", b"bc"]

        connection.close("done")
        connection.send_now(b"d")
        assert transport.written == [b"a", b"bc"]
