"""The one writer: everything of a block or nothing, and never another word after a failure."""

import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.codec.canonical import encode
from ledger.consensus.certificate import build_certificate
from ledger.crypto.domains import NO_HASH, VoteKind, header_hash, transaction_id
from ledger.errors import CorruptStorageError, StorageError
from ledger.state.commitment import StateTree
from ledger.storage import bodies, store as store_module
from ledger.storage.reader import ChainReader
from ledger.storage.verification import load_state_tree
from ledger.types.block import Block, Certificate, Vote
from tests.support.chain_filler import FIRST_STATE, Filler, open_store
from tests.support.ledger_lab import make_genesis


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger" / "chain.db"


def certificate(slot: int, kind: VoteKind = VoteKind.NULLIFY) -> Certificate:
    return build_certificate([Vote(kind, 0, slot, NO_HASH, 0, bytes(64))])


def test_a_new_chain_holds_its_genesis_and_first_state(path: Path):
    store = open_store(path)
    assert store.genesis() == make_genesis()
    assert dict(store.state_items()) == FIRST_STATE
    assert store.tip() is None
    store.close()


def test_a_block_and_all_it_changes_are_there_after_reopening(path: Path):
    store = open_store(path)
    filler = Filler(store)
    filler.append({b"a": b"3", b"c": b"4"}, b"first", b"second")
    block = filler.append({b"b": None, b"c": b"5"}, b"third")
    store.close()

    store = open_store(path)
    tip = store.tip()
    assert tip is not None
    assert (tip.hash, tip.header, tip.proof) == (block.hash, block.header, block.proof)
    assert dict(store.state_items()) == {b"a": b"3", b"c": b"5"}
    first = store.block(1)
    assert first is not None
    assert [item.outcome for item in store.transactions(first)] == [
        b"outcome of first",
        b"outcome of second",
    ]
    found = store.transaction(transaction_id(b"second"))
    assert found is not None
    assert (found.height, found.position, found.outcome) == (1, 1, b"outcome of second")
    assert store.has_transaction(transaction_id(b"third"))
    assert not store.has_transaction(transaction_id(b"fourth"))
    assert store.block(3) is None
    assert store.transaction(NO_HASH) is None
    store.close()


def test_ids_that_begin_alike_are_told_apart(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bodies, "_shorten_all", lambda ids: (0,) * len(ids))
    store = open_store(path)
    filler = Filler(store)
    filler.append({}, b"first", b"second")
    filler.append({}, b"third")
    for payload, place in ((b"first", (1, 0)), (b"second", (1, 1)), (b"third", (2, 0))):
        found = store.transaction(transaction_id(payload))
        assert found is not None
        assert (found.height, found.position) == place
    assert not store.has_transaction(transaction_id(b"fourth"))
    store.close()


@pytest.mark.parametrize("count", [1, 31, 32, 33, 64, 70])
def test_every_row_of_a_block_is_written_however_many_there_are(path: Path, count: int):
    store = open_store(path)
    filler = Filler(store)
    payloads = [b"payload %d" % number for number in range(count)]
    keys = [b"key %d" % number for number in range(count)]
    filler.append(dict.fromkeys(keys, b"before"), *payloads)
    filler.append({key: b"after " + key for key in keys})
    store.close()
    store = open_store(path)
    assert [store.get(key) for key in keys] == [b"after " + key for key in keys]
    found = [store.transaction(transaction_id(payload)) for payload in payloads]
    assert [(one.height, one.position) for one in found if one] == [(1, at) for at in range(count)]
    store.close()


def test_reads_follow_the_newest_block(path: Path):
    store = open_store(path)
    filler = Filler(store)
    assert (store.get(b"a"), store.get(b"c")) == (b"1", None)
    filler.append({b"a": b"9", b"c": b"8"})
    assert (store.get(b"a"), store.get(b"c")) == (b"9", b"8")
    filler.append({b"a": None})
    assert store.get(b"a") is None
    store.close()


def test_keys_that_are_read_together_are_what_single_reads_give(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(store_module, "CACHED_KEYS_MAX", 1_000)
    store = open_store(path)
    filler = Filler(store)
    state = {b"key %d" % index: b"%d" % index for index in range(2 * 300)}
    filler.append({**state, b"large": bytes(5_000)})
    store._cache.clear()
    asked = [b"key %d" % index for index in range(0, 900, 3)]
    store.preload([*asked, *asked, b"large"])
    assert store._cache == {key: state.get(key) for key in asked}
    assert store.get(b"large") == bytes(5_000)
    filler.append({b"key 3": b"new", b"key 6": None, b"key 600": b"here"})
    store.preload(asked)
    assert [store.get(key) for key in (b"key 3", b"key 6", b"key 600")] == [b"new", None, b"here"]
    store.close()


def test_a_few_keys_are_not_read_ahead(path: Path):
    store = open_store(path)
    store.preload(b"%d" % index for index in range(store_module.PRELOADED_KEYS_MIN - 1))
    assert not store._cache
    store.close()


def test_what_is_kept_at_hand_is_bounded(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(store_module, "CACHED_KEYS_MAX", 3)
    store = open_store(path)
    filler = Filler(store)
    state = {b"key %d" % index: b"%d" % index for index in range(9)}
    filler.append({**state, b"large": bytes(5_000)})
    for _ in range(2):
        assert all(store.get(key) == value for key, value in state.items())
        assert store.get(b"large") == bytes(5_000)
    assert len(store._cache) == 3
    store.close()


def test_a_commit_that_fails_leaves_nothing_and_ends_the_store(path: Path):
    store = open_store(path)
    filler = Filler(store)
    filler.append({b"a": b"2"}, b"one")
    block, writes = filler.make({b"a": b"3"}, b"two")
    writes[b"b"] = "no bytes"  # type: ignore[assignment]  # a strict table refuses it, after the block's row
    with pytest.raises(StorageError, match=r"chain\.db: cannot write the chain database"):
        store.commit_block(block, writes)
    with pytest.raises(StorageError, match="a write failed before: restart the ledger"):
        store.write_ahead_certificate(certificate(9))
    store.close()

    store = open_store(path)
    tip = store.tip()
    assert tip is not None
    assert (tip.header.height, store.get(b"a")) == (1, b"2")
    assert not store.has_transaction(transaction_id(b"two"))
    store.close()


def test_a_full_disk_is_final_and_says_what_to_do(path: Path):
    store = open_store(path)
    filler = Filler(store)
    store._database.execute_sql("PRAGMA max_page_count = 20")
    with pytest.raises(
        StorageError, match=r"\(database or disk is full\): check the disk and its free"
    ):
        filler.append({b"large": bytes(200_000)})
    store.close()


def test_what_is_written_ahead_at_rest_fits_one_page(path: Path):
    store = open_store(path)
    block, _ = Filler(store).make({b"a": b"3"})
    journal = path.with_name(path.name + "-wal")
    store.write_ahead_certificate(certificate(1))
    before = journal.stat().st_size
    store.write_ahead_block(block.header, block.hash, Block(block.header_bytes, ()))
    page_bytes = store._database.execute_sql("PRAGMA page_size").fetchone()[0]
    assert journal.stat().st_size - before == page_bytes + 24  # the log's header of a page
    store.close()


def test_the_consensus_log_is_kept_until_its_slot_is_final(path: Path):
    store = open_store(path)
    filler = Filler(store)
    block, writes = filler.make({b"a": b"3"})
    ahead = Block(block.header_bytes, ())
    later = certificate(2)
    store.write_ahead_block(block.header, block.hash, ahead)
    store.write_ahead_certificate(certificate(1))
    store.write_ahead_certificate(later)
    store.write_ahead_certificate(later)
    store.close()

    store = open_store(path)
    log = store.consensus_log()
    assert log.blocks == (ahead,)
    assert log.certificates == (certificate(1), later)
    store.commit_block(block, writes)
    log = store.consensus_log()
    assert (log.blocks, log.certificates) == ((), (later,))
    store.close()


@pytest.mark.parametrize(
    ("pragma", "value"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("busy_timeout", 5_000),
        ("foreign_keys", 1),
        ("cell_size_check", 1),
        ("journal_size_limit", 64 * 1024 * 1024),
        ("wal_autocheckpoint", 16_384),
        ("page_size", 1_024),
    ],
)
def test_the_writer_runs_with_durable_settings(path: Path, pragma: str, value: object):
    store = open_store(path)
    (found,) = store._database.execute_sql(f"PRAGMA {pragma}").fetchone()
    assert found == value
    store.close()


def test_a_second_writer_is_refused_until_the_first_has_closed(path: Path):
    store = open_store(path)
    with pytest.raises(StorageError, match="another process writes this chain: stop it"):
        open_store(path)
    store.close()
    open_store(path).close()


def test_a_second_process_that_writes_is_refused(path: Path):
    store = open_store(path)
    program = (
        "from pathlib import Path; from tests.support.chain_filler import open_store;"
        f"open_store(Path({str(path)!r}))"
    )
    second = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert second.returncode != 0
    assert "another process writes this chain" in second.stderr
    store.close()


def test_a_reader_beside_the_writer_sees_blocks_as_they_come(path: Path):
    store = open_store(path)
    filler = Filler(store)
    reader = ChainReader.open(path)
    assert reader.tip() is None
    filler.append({b"a": b"2"}, b"one")
    tip = reader.tip()
    assert tip is not None
    assert (tip.header.height, reader.get(b"a")) == (1, b"2")
    with reader.snapshot():
        assert reader.get(b"a") == b"2"
        filler.append({b"a": b"3"})
        assert reader.get(b"a") == b"2"
    assert reader.get(b"a") == b"3"
    reader.close()
    store.close()


def test_a_reader_cannot_write(path: Path):
    open_store(path).close()
    reader = ChainReader.open(path)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._database.connection().execute("DELETE FROM state")
    reader.close()


def test_a_reader_works_without_any_writer(path: Path):
    store = open_store(path)
    Filler(store).append({b"a": b"2"}, b"one")
    store.close()
    reader = ChainReader.open(path)
    assert reader.get(b"a") == b"2"
    reader.close()
    with pytest.raises(StorageError):
        reader.get(b"a")


def test_closing_leaves_the_chain_in_one_file(path: Path):
    store = open_store(path)
    Filler(store).append({b"a": b"2"}, b"one")
    store.close()
    store.close()
    left = {item.name for item in path.parent.iterdir() if item.stat().st_size}
    assert left == {"chain.db"}


def test_another_chains_database_is_refused(path: Path):
    open_store(path).close()
    with pytest.raises(StorageError, match=r"put the right genesis\.json back"):
        open_store(path, make_genesis(name="other"))


def test_a_database_of_another_layout_is_refused(path: Path):
    open_store(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET value = x'00000009' WHERE name = 'schema_version'")
    connection.close()
    for opening in (lambda: open_store(path), lambda: ChainReader.open(path)):
        with pytest.raises(StorageError, match="written with layout 9, this program knows 5"):
            opening()


def test_a_missing_database_is_no_chain_to_read(path: Path):
    with pytest.raises(StorageError, match="no chain database: start the ledger once"):
        ChainReader.open(path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be created"):
        open_store(tmp_path / "file" / "chain.db")


class TestDamage:
    @pytest.fixture
    def chain(self, path: Path) -> Path:
        store = open_store(path)
        filler = Filler(store)
        for height in range(1, 6):
            state: dict[bytes, bytes | None] = {
                b"key %d" % index: b"value %d of %d" % (index, height) for index in range(40)
            }
            filler.append(state, b"payload %d" % height, b"neighbour %d" % height)
        pending, _ = filler.make({b"key 1": b"never final"})
        store.write_ahead_block(pending.header, pending.hash, Block(pending.header_bytes, ()))
        store.close()
        return path

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE state SET value = x'00' WHERE key = CAST('key 7' AS BLOB)",
            "DELETE FROM state WHERE key = CAST('key 7' AS BLOB)",
            "INSERT INTO state VALUES (x'00', x'00')",
            "DELETE FROM block WHERE height = 5",
        ],
    )
    def test_a_state_that_is_not_the_newest_blocks_is_found(self, chain: Path, statement: str):
        with sqlite3.connect(chain) as connection:
            connection.execute(statement)
        connection.close()
        store = open_store(chain)
        with pytest.raises(CorruptStorageError, match="move it away and restore a copy"):
            load_state_tree(store, FIRST_STATE)
        store.close()

    def test_a_first_state_that_is_not_the_genesis_is_found(self, path: Path):
        open_store(path).close()
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE state SET value = x'00'")
        connection.close()
        store = open_store(path)
        with pytest.raises(CorruptStorageError, match="root that block 0 commits to"):
            load_state_tree(store, FIRST_STATE)
        store.close()

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE block SET header = x'00' WHERE height = 3",
            "UPDATE block SET hash = zeroblob(32) WHERE height = 3",
            "UPDATE block SET (hash, header) = (SELECT hash, header FROM block WHERE height = 2)"
            " WHERE height = 3",
            "UPDATE block SET body = zeroblob(90) WHERE height = 3",
            "UPDATE block SET body = x'' WHERE height = 3",
            "UPDATE block SET body = (SELECT body FROM block WHERE height = 2) WHERE height = 3",
        ],
    )
    def test_a_block_that_is_not_what_it_was_is_never_served(self, chain: Path, statement: str):
        with sqlite3.connect(chain) as connection:
            connection.execute(statement)
        connection.close()
        reader = ChainReader.open(chain)

        def read() -> None:
            block = reader.block(3)
            assert block is not None
            reader.transactions(block)

        with pytest.raises(CorruptStorageError, match="is damaged"):
            read()
        reader.close()

    @pytest.mark.parametrize(
        "statement",
        [
            "DELETE FROM block WHERE height = 3",
            "UPDATE block SET body = zeroblob(90) WHERE height = 3",
            "UPDATE block SET body = x'' WHERE height = 3",
            "UPDATE place SET position = position + 2 WHERE height = 3",
        ],
    )
    def test_a_transaction_that_is_not_where_it_should_be_is_damage(
        self, chain: Path, statement: str
    ):
        with sqlite3.connect(chain) as connection:
            connection.execute(statement)
        connection.close()
        reader = ChainReader.open(chain)
        with pytest.raises(CorruptStorageError, match="block 3"):
            reader.transaction(transaction_id(b"payload 3"))
        reader.close()

    @pytest.mark.parametrize("body", [b"no body", encode(((b"no transaction",), (b"",)))])
    def test_a_damaged_block_is_not_pruned_but_reported(self, chain: Path, body: bytes):
        with sqlite3.connect(chain) as connection:
            connection.execute("UPDATE block SET body = ? WHERE height = 1", (body,))
            connection.execute("INSERT INTO agent_set VALUES (1, 5, x'00')")
        connection.close()
        store = open_store(chain)
        store.keep_blocks = 1
        filler = Filler(store)
        filler.height = 5
        with pytest.raises(
            CorruptStorageError, match=r"chain\.db: the chain database is damaged .block 1"
        ):
            filler.append({b"a": b"9"})
        store.close()
        store = open_store(chain)
        tip = store.tip()
        assert tip is not None
        assert tip.header.height == 5
        store.close()

    @pytest.mark.parametrize(
        "statement",
        ["UPDATE wal SET payload = x'00'", "UPDATE wal SET block_hash = zeroblob(32)"],
    )
    def test_a_damaged_consensus_log_is_found(self, chain: Path, statement: str):
        with sqlite3.connect(chain) as connection:
            connection.execute(statement)
        connection.close()
        store = open_store(chain)
        with pytest.raises(CorruptStorageError, match="consensus log"):
            store.consensus_log()
        store.close()

    def test_a_file_that_is_no_database_is_found(self, path: Path):
        path.parent.mkdir()
        path.write_bytes(b"this is no database at all" * 1_000)
        with pytest.raises(CorruptStorageError, match="move it away and restore a copy of it"):
            open_store(path)

    def test_no_changed_byte_of_the_file_is_ever_served_as_truth(self, chain: Path):
        intact = chain.read_bytes()
        truth = read_everything(chain)
        for position in range(11, len(intact), 397):
            damaged = bytearray(intact)
            damaged[position] ^= 0x55
            chain.write_bytes(damaged)
            with contextlib.suppress(StorageError):
                assert read_everything(chain) == truth, position


def read_everything(path: Path) -> list[object]:
    """Open the chain as a node does and read all that it holds."""
    store = open_store(path)
    try:
        tree: StateTree = load_state_tree(store, FIRST_STATE)
        tip = store.tip()
        assert tip is not None
        contents: list[object] = [tree.root, dict(store.state_items())]
        for height in range(1, tip.header.height + 1):
            block = store.block(height)
            assert block is not None
            contents += [block.header_bytes, block.hash, store.transactions(block)]
        log = store.consensus_log()
        contents += [encode(log.blocks), [header_hash(block.header) for block in log.blocks]]
        return contents
    finally:
        store.close()
