import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.errors import StoreError
from gateway.readings import schema
from gateway.readings.queries import ReadingsReader
from gateway.readings.store import ReadingsStore
from tests.support.readings import NODE_ID, PROFILE, ManualClock, store_run

OpenStore = Callable[[ManualClock], ReadingsStore]
NOBODY = 65534


def overwrite_pages(path: Path, first: int, count: int) -> None:
    size, content = schema.PAGE_BYTES, bytearray(path.read_bytes())
    content[size * first : size * (first + count)] = b"\xff" * size * count
    path.write_bytes(content)


def test_a_commit_that_returned_is_on_disk(store: ReadingsStore):
    setting = {
        name: store._writer.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    }
    assert setting == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 5000,
    }


async def test_a_lone_reading_writes_little(store: ReadingsStore, path: Path):
    journal = path.with_name(path.name + "-wal")
    store.register_device("meter", PROFILE)
    before = journal.stat().st_size
    for _ in range(40):
        await store_run(store, "meter", 1)

    assert (journal.stat().st_size - before) / 40 < 2_048  # bytes for each acknowledged reading


def test_only_the_owner_may_look_at_the_files(store: ReadingsStore, path: Path):
    store.register_device("meter", PROFILE)

    files = list(path.parent.iterdir())
    assert path in files
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_another_version_is_refused(store: ReadingsStore, open_store: OpenStore, path: Path):
    store._writer.execute("PRAGMA user_version = 7").close()
    store.close()

    with pytest.raises(StoreError, match=r"its format is version 7 and this program reads version"):
        open_store(ManualClock())
    with pytest.raises(StoreError, match=r"its format is version 7"):
        ReadingsReader.open(path)


def copy_as_killed(store: ReadingsStore, copy: Path) -> None:
    """Copy the database of a running store: what a kill at this moment leaves."""
    store._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
    shutil.copy(store.path, copy)


async def test_a_damaged_file_is_refused_after_an_unclean_end(
    store: ReadingsStore, path: Path, clock: ManualClock
):
    store.register_device("meter", PROFILE)
    await store_run(store, "meter", 1000)
    killed = path.with_name("killed.db")
    copy_as_killed(store, killed)
    ReadingsStore.open(killed, clock, NODE_ID).close()
    copy_as_killed(store, killed)
    overwrite_pages(killed, first=4, count=4)

    with pytest.raises(StoreError, match="the file is damaged"):
        ReadingsStore.open(killed, clock, NODE_ID)


def test_a_file_that_is_no_database_is_refused_and_left_alone(
    open_store: OpenStore, clock: ManualClock, path: Path
):
    path.write_bytes(b"not a database, but somebody's text\n" * 100)
    before = path.read_bytes()

    with pytest.raises(StoreError, match="the file is damaged"):
        open_store(clock)
    assert path.read_bytes() == before


async def test_a_reading_that_does_not_decode_is_reported(store: ReadingsStore):
    store.register_device("meter", PROFILE)
    await store_run(store, "meter", 3)
    await store.prune(None)
    for readings, finding in (
        ("x'91c40100'", "a reading of meter"),
        ("x'00'", "the readings from 1"),
    ):
        store._writer.execute(f"UPDATE page SET readings = {readings}").close()

        with pytest.raises(StoreError, match=f"the file is damaged .{finding}"):
            store.last("meter", 3)


async def test_a_log_that_does_not_decode_is_reported(
    store: ReadingsStore, open_store: OpenStore, clock: ManualClock, path: Path
):
    store.register_device("meter", PROFILE)
    await store_run(store, "meter", 3)
    store._writer.execute("UPDATE log SET runs = x'00'").close()
    with pytest.raises(StoreError, match=r"the file is damaged .a row of the log"):
        ReadingsReader.open(path).last("meter", 3)
    store.close()

    with pytest.raises(StoreError, match=r"the file is damaged .a row of the log"):
        open_store(clock)


def test_a_missing_folder_is_one_line(clock: ManualClock, tmp_path: Path):
    with pytest.raises(StoreError, match="No such file or directory"):
        ReadingsStore.open(tmp_path / "nowhere" / "readings.db", clock, b"n" * 32)


def test_a_reader_without_a_database_says_what_to_do(path: Path):
    with pytest.raises(StoreError, match="start the gateway once to create it"):
        ReadingsReader.open(path)


async def test_a_reader_sees_what_is_stored_and_cannot_write(store: ReadingsStore, path: Path):
    store.register_device("meter", PROFILE)
    reader = ReadingsReader.open(path)
    stored = await store_run(store, "meter", 5)

    assert reader.last("meter", 5) == stored
    assert reader.devices() == store.devices()
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._reader.execute("DELETE FROM log")
    reader.close()


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The databases whose whole file was checked."""
    checked: list[Path] = []
    monkeypatch.setattr(schema, "_check_integrity", lambda _, path: checked.append(path))
    return checked


def test_the_whole_file_is_checked_after_an_unclean_end_only(
    store: ReadingsStore, open_store: OpenStore, clock: ManualClock, path: Path, checks: list[Path]
):
    killed = path.with_name("killed.db")
    copy_as_killed(store, killed)
    store.close()
    for _ in range(2):
        open_store(clock).close()
    assert checks == []

    for _ in range(2):
        ReadingsStore.open(killed, clock, NODE_ID).close()
    assert checks == [killed]


async def test_a_store_that_failed_is_checked_at_its_next_opening(
    store: ReadingsStore, open_store: OpenStore, clock: ManualClock, checks: list[Path]
):
    def lose_the_disk(connection: sqlite3.Connection) -> None:
        connection.execute("ROLLBACK")  # SQLite's own answer to an I/O error
        raise sqlite3.OperationalError("disk I/O error")

    with pytest.raises(StoreError, match="disk I/O error"):
        await store._queue.run(lose_the_disk)
    store.close()
    open_store(clock)

    assert checks == [store.path]


async def test_a_reader_opens_what_a_stopped_gateway_left(store: ReadingsStore, path: Path):
    store.register_device("meter", PROFILE)
    stored = await store_run(store, "meter", 5)
    store.close()
    assert not list(path.parent.glob("*-*"))  # the log is folded in

    reader = ReadingsReader.open(path)
    assert reader.last("meter", 5) == stored
    reader.close()


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Take the right to write the folder from its owner, and act as an ordinary one: root may all."""
    is_root = os.geteuid() == 0
    if is_root:
        for path in (folder, *folder.iterdir()):
            os.chown(path, NOBODY, NOBODY)
    folder.chmod(0o500)
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(0o700)


@pytest.mark.parametrize("file_mode", [0o600, 0o400])
async def test_a_reader_opens_a_stopped_gateways_file_in_a_folder_nobody_writes(
    clock: ManualClock, file_mode: int
):
    # Not under `tmp_path`, whose parents no other user may enter.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "readings.db"
        store = ReadingsStore.open(path, clock, NODE_ID)
        store.register_device("meter", PROFILE)
        stored = await store_run(store, "meter", 5)
        store.close()
        path.chmod(file_mode)

        with read_only(folder):
            reader = ReadingsReader.open(path)
            assert reader.last("meter", 5) == stored
            reader.close()


def test_a_reader_does_not_pass_over_a_log_that_it_cannot_use(clock: ManualClock):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = ReadingsStore.open(folder / "readings.db", clock, NODE_ID)
        store.register_device("meter", PROFILE)  # is in the log alone
        killed = folder / "killed"
        killed.mkdir()
        for end in ("", "-wal"):
            shutil.copy(folder / f"readings.db{end}", killed / f"readings.db{end}")
        store.close()
        folder.chmod(0o755)

        with read_only(killed), pytest.raises(StoreError, match="check the file and its folder"):
            ReadingsReader.open(killed / "readings.db")
