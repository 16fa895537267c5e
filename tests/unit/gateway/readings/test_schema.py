import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.errors import StoreError
from gateway.readings.queries import ReadingsReader
from gateway.readings.store import ReadingsStore
from tests.support.readings import PROFILE, ManualClock, store_run

OpenStore = Callable[[ManualClock], ReadingsStore]


def overwrite_pages(path: Path, first: int, count: int) -> None:
    content = bytearray(path.read_bytes())
    content[4096 * first : 4096 * (first + count)] = b"\xff" * 4096 * count
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


async def test_a_damaged_file_is_refused(
    store: ReadingsStore, open_store: OpenStore, path: Path, clock: ManualClock
):
    store.register_device("meter", PROFILE)
    await store_run(store, "meter", 1000)
    store.close()
    overwrite_pages(path, first=4, count=4)

    with pytest.raises(StoreError, match="the file is damaged"):
        open_store(clock)


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
    store._writer.execute("UPDATE reading SET encoded = x'00' WHERE sequence = 2").close()

    with pytest.raises(StoreError, match=r"the file is damaged .a reading of meter"):
        store.last("meter", 3)


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
        reader._reader.execute("DELETE FROM reading")
    reader.close()
