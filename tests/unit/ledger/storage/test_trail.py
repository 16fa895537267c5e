"""A light node's file: what was saved is there again, another chain's is refused, damage is told."""

import sqlite3
from pathlib import Path

import pytest

from ledger.errors import StorageError
from ledger.storage.trail import StoredEnd, TrailStore

CHAIN = bytes(32)


def end(epoch: int) -> StoredEnd:
    return StoredEnd(epoch, b"header%d" % epoch, b"proof", b"set")


def test_what_was_saved_is_there_again(tmp_path: Path):
    store = TrailStore.create_or_open(tmp_path / "trail.db", CHAIN)
    assert store.newest() is None
    assert store.met() == ""
    store.save([end(1), end(2), end(5)], b"newest", "5:ab")
    store.save([], None, "5:ab")
    store.close()

    store = TrailStore.create_or_open(tmp_path / "trail.db", CHAIN)
    assert (store.newest(), store.met()) == (b"newest", "5:ab")
    assert store.ends(before_epoch=5) == (end(1), end(2))
    assert store.ends(before_epoch=6, newest=2) == (end(2), end(5))
    store.close()


def test_it_has_one_writer(tmp_path: Path):
    store = TrailStore.create_or_open(tmp_path / "trail.db", CHAIN)
    with pytest.raises(StorageError, match="another process"):
        TrailStore.create_or_open(tmp_path / "trail.db", CHAIN)
    store.close()


def test_another_chain_or_layout_is_refused(tmp_path: Path):
    path = tmp_path / "trail.db"
    TrailStore.create_or_open(path, CHAIN).close()
    with pytest.raises(StorageError, match="another chain"):
        TrailStore.create_or_open(path, b"x" * 32)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE fact SET value = x'00000009' WHERE name = 'layout'")
    database.close()
    with pytest.raises(StorageError, match="another layout"):
        TrailStore.create_or_open(path, CHAIN)


def test_a_file_that_is_none_is_told(tmp_path: Path):
    path = tmp_path / "trail.db"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(StorageError, match="damaged"):
        TrailStore.create_or_open(path, CHAIN)


def test_after_a_failed_write_nothing_more_is_taken(tmp_path: Path):
    store = TrailStore.create_or_open(tmp_path / "trail.db", CHAIN)
    store.save([end(1)], b"one", "")
    broken = StoredEnd(2, None, b"", b"")  # type: ignore[arg-type]  # what SQLite refuses
    with pytest.raises(StorageError):
        store.save([broken], b"two", "")
    with pytest.raises(StorageError, match="a write failed before"):
        store.save([], b"three", "")
    store.close()
    store = TrailStore.create_or_open(tmp_path / "trail.db", CHAIN)
    assert (store.newest(), store.ends(before_epoch=9)) == (b"one", (end(1),))
    store.close()
