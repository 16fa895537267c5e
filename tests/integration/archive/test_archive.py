"""The chain followed into a real PostgreSQL."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from gateway.ledger_host.archiving import Archiver
from ledger.archive.archive import Archive, follow
from ledger.errors import ArchiveError
from ledger.storage.reader import ChainReader
from ledger.types.genesis_file import genesis_chain_id
from tests.support.ledger_lab import Lab, finalise
from tests.support.postgresql import Server, find_binaries, find_user, postgresql

BINARIES, USER = find_binaries(), find_user()
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(BINARIES is None, reason="no PostgreSQL server is installed"),
    pytest.mark.skipif(USER is None, reason="PostgreSQL does not run as root"),
]


@pytest.fixture(scope="module")
def shared_server() -> Iterator[Server]:
    assert BINARIES is not None
    assert USER is not None
    with postgresql(BINARIES, USER) as server:
        yield server


@pytest.fixture
def server(shared_server: Server) -> Server:
    with psycopg.connect(shared_server.url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return shared_server


def ask(server: Server, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(server.url) as connection:
        return connection.execute(query.encode()).fetchall()


async def grow(lab: Lab, first: int, count: int) -> None:
    node = lab.open()
    try:
        for nonce in range(first, first + count):
            await finalise(node, lab.transfer("alice", nonce))
    finally:
        node.close()


def catch_up(lab: Lab, server: Server, blocks_max: int = 1_000) -> int:
    archive = Archive.open(server.url, genesis_chain_id(lab.genesis))
    reader = ChainReader.open(lab.path)
    try:
        return follow(reader, archive, blocks_max)
    finally:
        reader.close()
        archive.close()


async def test_blocks_and_transactions_arrive_once_however_often_it_follows(
    tmp_path: Path, server: Server
):
    lab = Lab(tmp_path)
    await grow(lab, 0, 3)
    assert catch_up(lab, server, blocks_max=2) == 2
    assert catch_up(lab, server) >= 1
    assert catch_up(lab, server) == 0
    await grow(lab, 3, 2)
    assert catch_up(lab, server) >= 2
    reader = ChainReader.open(lab.path)
    tip = reader.tip()
    reader.close()
    assert tip is not None
    assert ask(server, "SELECT max(height), count(*) FROM block") == [
        (tip.header.height, tip.header.height)
    ]
    rows = ask(
        server,
        "SELECT kind, is_applied, nonce, (body::jsonb)->>'amount' FROM transaction ORDER BY nonce",
    )
    assert rows == [("Transfer", True, nonce, "7") for nonce in range(5)]
    ((state_root, header_hash),) = ask(
        server, f"SELECT state_root, hash FROM block WHERE height = {tip.header.height}"
    )
    assert (state_root, header_hash) == (tip.header.state_root, tip.hash)


async def test_another_chain_and_a_fork_are_refused(tmp_path: Path, server: Server):
    lab = Lab(tmp_path)
    await grow(lab, 0, 1)
    catch_up(lab, server)
    with pytest.raises(ArchiveError, match="the archive is of chain"):
        Archive.open(server.url, bytes(32))
    with psycopg.connect(server.url) as connection:
        connection.execute("UPDATE block SET hash = '\\x00'")
    with pytest.raises(ArchiveError, match="forked"):
        catch_up(lab, server)


async def test_a_block_is_there_whole_or_not_at_all(tmp_path: Path, server: Server):
    lab = Lab(tmp_path)
    await grow(lab, 0, 1)
    Archive.open(server.url, genesis_chain_id(lab.genesis)).close()
    with psycopg.connect(server.url) as connection:
        connection.execute("ALTER TABLE transaction ADD CONSTRAINT broken CHECK (nonce < 0)")
    with pytest.raises(ArchiveError, match="cannot write to the PostgreSQL archive"):
        catch_up(lab, server)
    assert ask(server, "SELECT count(*) FROM block WHERE transactions > 0") == [(0,)]


async def test_a_server_that_goes_away_is_waited_for_and_followed_on(
    tmp_path: Path, server: Server
):
    lab = Lab(tmp_path)
    await grow(lab, 0, 2)
    archiver = Archiver(lab.path, genesis_chain_id(lab.genesis), server.url)
    task = asyncio.create_task(archiver.run())
    try:
        await wait_for_height(lab, server)
        await asyncio.to_thread(server.stop)
        await until(lambda: archiver.problem is not None)
        assert archiver.problem is not None
        assert "PostgreSQL archive" in archiver.problem
        await grow(lab, 2, 1)
        await asyncio.to_thread(server.start)
        await wait_for_height(lab, server)
        await until(lambda: archiver.problem is None)
    finally:
        task.cancel()
        await asyncio.wait({task})


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1_000):
        if condition():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it did not come to that")


async def wait_for_height(lab: Lab, server: Server) -> None:
    reader = ChainReader.open(lab.path)
    tip = reader.tip()
    reader.close()
    assert tip is not None
    while True:
        try:
            ((height,),) = await asyncio.to_thread(ask, server, "SELECT max(height) FROM block")
        except psycopg.Error:
            height = None
        if height == tip.header.height:
            return
        await asyncio.sleep(0.1)


async def test_the_chain_grows_without_any_archive(tmp_path: Path):
    lab = Lab(tmp_path)
    node = lab.open()
    try:
        archiver = Archiver(lab.path, bytes(32), "postgresql://nobody@/none?host=/nowhere")
        task = asyncio.create_task(archiver.run())
        for nonce in range(3):
            await finalise(node, lab.transfer("alice", nonce))
        await until(lambda: archiver.problem is not None)
        task.cancel()
        await asyncio.wait({task})
    finally:
        node.close()
