"""A connection that says nothing, or half of something, does not stay for ever."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from gateway.smart_agent import server
from gateway.smart_agent.endpoint import connect, listening
from gateway.smart_agent.keys import AgentKeys
from gateway.smart_agent.messages import Describe, encode_frame

pytestmark = pytest.mark.integration

KEYS = AgentKeys(b"n" * 32, b"c" * 32, b"m" * 32, b"w" * 32)


@asynccontextmanager
async def serving(path):
    with listening(path) as listener:
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            task = tasks.create_task(server.serve_requests(listener, lambda _request: KEYS))
            yield
            task.cancel()


@asynccontextmanager
async def connected(path):
    reader, writer = await asyncio.open_unix_connection(sock=connect(path, timeout_s=5))
    yield reader, writer
    writer.close()


async def test_half_a_frame_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(server, "FRAME_TIMEOUT_S", 0.1)
    frame = encode_frame(Describe())
    async with serving(tmp_path / "agent.sock"):
        for count in (1, 3, 4, len(frame) - 1):
            async with connected(tmp_path / "agent.sock") as (reader, writer):
                writer.write(frame[:count])
                assert await reader.read() == b""


async def test_a_silent_connection_is_given_up_and_a_talking_one_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(server, "IDLE_TIMEOUT_S", 0.2)
    async with (
        serving(tmp_path / "agent.sock"),
        connected(tmp_path / "agent.sock") as (reader, writer),
    ):
        for _ in range(5):
            writer.write(encode_frame(Describe()))
            assert await reader.readexactly(len(encode_frame(KEYS))) == encode_frame(KEYS)
        assert await reader.read() == b""


async def test_a_peer_that_never_reads_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(server, "FRAME_TIMEOUT_S", 0.1)
    flood = encode_frame(Describe()) * 200_000  # answers far beyond what sockets buffer
    async with serving(tmp_path / "agent.sock"):
        connection = connect(tmp_path / "agent.sock", timeout_s=5)
        with connection, pytest.raises(ConnectionError):
            await asyncio.to_thread(connection.sendall, flood)
