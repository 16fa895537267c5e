"""The journal: a promise is kept only when it is on disk, through full disks, damage and kills."""

import asyncio
import logging
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.broker.changes import (
    Delivery,
    DeliveryDone,
    MessageQueued,
    RetainedPut,
    SessionKept,
    StoredState,
)
from gateway.broker.durable import journal as journal_module, pace
from gateway.broker.durable.journal import SqliteJournal
from gateway.broker.durable.schema import raw_connection
from gateway.broker.message import Message
from gateway.errors import BrokerError
from gateway.model.principal import Principal, PrincipalKind

ANN = Principal("ann", PrincipalKind.USER, ("#",), ("#",))
KEY = ("ann", "c1")
WAIT_S = 20.0

OpenJournal = Callable[[], SqliteJournal]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


@pytest.fixture
async def open_journal(path: Path) -> AsyncIterator[OpenJournal]:
    opened: list[SqliteJournal] = []

    def open_one() -> SqliteJournal:
        opened.append(SqliteJournal(path))
        opened[-1].state = opened[-1].load()  # type: ignore[attr-defined]
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


def queued(number: int, size: int = 10) -> MessageQueued:
    message = Message("t", bytes(size), 1, is_retained=False)
    return MessageQueued(KEY, Delivery(number, number, message, 1, is_retained=False))


async def committed(journal: SqliteJournal) -> str | None:
    answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
    journal.commit(answer.set_result)
    async with asyncio.timeout(WAIT_S):
        return await answer


def read(path: Path, copy: Path) -> StoredState:
    """Read what a kill at this moment leaves."""
    copy.mkdir(exist_ok=True)
    for file in path.parent.glob(path.name + "*"):
        if file.suffix != ".lock":
            shutil.copy(file, copy / file.name)
    journal = SqliteJournal(copy / path.name)
    state = journal.load()
    journal.close()
    return state


async def test_what_was_promised_is_there_after_a_kill(open_journal, path, tmp_path):
    journal = open_journal()
    journal.record(SessionKept(KEY, ANN, 60))
    journal.record(queued(1))
    assert await committed(journal) is None

    (session,) = read(path, tmp_path / "copy").sessions
    assert session.key == KEY
    assert session.principal == ANN
    assert [delivery.number for delivery in session.deliveries] == [1]


async def test_the_callback_comes_only_after_the_commit(open_journal, path):
    journal = open_journal()
    journal.record(SessionKept(KEY, ANN, 60))
    seen: list[int] = []
    done = asyncio.Event()
    reader = sqlite3.connect(path)

    def on_commit(_: str | None) -> None:
        seen.append(reader.execute("SELECT count(*) FROM session").fetchone()[0])
        done.set()

    journal.commit(on_commit)
    assert seen == []
    async with asyncio.timeout(WAIT_S):
        await done.wait()
    reader.close()
    assert seen == [1]


async def test_with_nothing_to_write_the_answer_comes_at_once(open_journal):
    journal = open_journal()
    answers: list[str | None] = []
    journal.commit(answers.append)
    journal.record(RetainedPut(Message("state", b"1", 1, is_retained=True), None))
    journal.commit(answers.append)

    assert answers == [None, None]


async def test_a_message_that_arrived_before_the_commit_costs_none(open_journal):
    journal = open_journal()
    journal.record(SessionKept(KEY, ANN, 60))
    assert await committed(journal) is None
    before = journal.commits
    for number in range(1, 50):
        journal.record(queued(number))
        answer = asyncio.ensure_future(committed(journal))
        await asyncio.sleep(0)
        journal.record(DeliveryDone(KEY, number))
        assert await answer is None

    assert journal.commits == before


async def test_many_promises_share_a_commit(open_journal):
    journal = open_journal()
    journal.record(SessionKept(KEY, ANN, 60))
    answers = []
    for number in range(1, 500):
        journal.record(queued(number))
        answers.append(committed(journal))
    assert set(await asyncio.gather(*answers)) == {None}
    assert journal.commits <= 2


async def test_what_nobody_waits_for_is_written_in_the_end(
    open_journal, path, tmp_path, monkeypatch
):
    monkeypatch.setattr(pace, "UNPROMISED_WAIT_S", 0.01)
    monkeypatch.setattr(pace, "RETAINED_WAIT_S", 0.01)
    journal = open_journal()
    journal.record(SessionKept(KEY, ANN, 60))
    journal.record(RetainedPut(Message("state", b"1", 0, is_retained=True), "ann"))
    async with asyncio.timeout(WAIT_S):
        while True:
            state = read(path, tmp_path / "copy")
            if state.sessions and state.retained:
                break
            await asyncio.sleep(0.01)


async def test_closing_writes_what_waits(open_journal):
    journal = open_journal()
    journal.record(SessionKept(KEY, ANN, 60))
    journal.record(RetainedPut(Message("state", b"1", 0, is_retained=True), "ann"))
    journal.close()

    state = open_journal().state
    assert [session.key for session in state.sessions] == [KEY]
    assert [message.topic for message, _ in state.retained] == ["state"]


async def test_on_a_full_disk_nothing_is_acknowledged_and_nothing_lost(
    open_journal, path, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(journal_module, "FULL_DISK_RETRY_S", 0.01)
    journal = open_journal()
    journal.record(SessionKept(KEY, ANN, 60))
    assert await committed(journal) is None
    pages = int(raw_connection(journal._database).execute("PRAGMA page_count").fetchone()[0])
    raw_connection(journal._database).execute(f"PRAGMA max_page_count = {pages}").fetchone()
    answers: list[str | None] = []
    for number in range(1, 20):
        journal.record(queued(number, 10_000))
        journal.commit(answers.append)
    async with asyncio.timeout(WAIT_S):
        while not journal.problem:  # noqa: ASYNC110 - nothing tells that a try has failed
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)  # some more tries
    assert answers == []
    assert "the disk is full: free some space" in journal.problem
    assert len(caplog.records) == 1, "one line, however often it is tried"
    journal.record(queued(20))

    raw_connection(journal._database).execute("PRAGMA max_page_count = 100000").fetchone()
    assert await committed(journal) is None
    assert answers == [None] * 19
    assert journal.problem == ""
    (session,) = read(path, tmp_path / "copy").sessions
    assert [delivery.number for delivery in session.deliveries] == list(range(1, 21))


async def test_after_any_other_failure_it_ends(open_journal):
    journal = open_journal()
    journal.record(SessionKept(KEY, ANN, 60))
    raw_connection(journal._database).execute("DROP TABLE session")

    answer = await committed(journal)
    assert answer is not None
    assert "no such table" in answer
    assert await committed(journal) == answer
    with pytest.raises(BrokerError, match="no such table"):
        await asyncio.wait_for(journal.watch(), WAIT_S)


@pytest.mark.parametrize("damage", ["page", "header", "row"])
async def test_a_damaged_file_is_set_aside_and_said(open_journal, path, caplog, damage):
    journal = open_journal()
    journal.record(SessionKept(KEY, ANN, 60))
    for number in range(1, 50):
        journal.record(queued(number, 3_000))
    assert await committed(journal) is None
    journal.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if damage == "row":
            connection.execute("UPDATE message SET encoded = x'c1' WHERE message = 7")
    connection.close()
    content = bytearray(path.read_bytes())
    if damage != "row":
        start = 0 if damage == "header" else 4096 * 3
        content[start : start + 4096] = b"\xa5" * 4096
        path.write_bytes(content)

    with caplog.at_level(logging.ERROR):
        again = open_journal()

    assert again.state == StoredState()
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == again.problem
    assert f"set aside as {path}.damaged-1" in line
    assert "\n" not in line
    if damage != "row":
        assert path.with_name(path.name + ".damaged-1").read_bytes() == bytes(content)
    again.record(SessionKept(KEY, ANN, 60))
    assert await committed(again) is None


async def test_another_version_is_refused_and_left_alone(open_journal, path):
    open_journal().close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 9")
    connection.close()

    with pytest.raises(BrokerError, match="its format is version 9 and this program reads"):
        SqliteJournal(path).load()
    assert not list(path.parent.glob("*damaged*"))


async def test_two_brokers_do_not_share_a_file(open_journal, path):
    open_journal()
    with pytest.raises(BrokerError, match="another gateway is using it"):
        SqliteJournal(path).load()


async def test_only_its_owner_may_look_at_the_files(open_journal, path):
    journal = open_journal()
    journal.record(SessionKept(KEY, ANN, 60))
    await committed(journal)

    assert {oct(file.stat().st_mode & 0o777) for file in path.parent.iterdir()} == {"0o600"}
