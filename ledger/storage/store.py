"""The one writer of the chain database.

Rule 1: a block, its transactions, their outcomes and the changed state become durable together or
not at all; the consensus log below the block goes in the same transaction.
Rule 2: any failed write is final: the store refuses everything after it.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from operator import itemgetter
from pathlib import Path
from typing import IO, Any, Self

from peewee import SqliteDatabase

from ledger.codec.canonical import Decoder, encode
from ledger.crypto.domains import chain_id, header_hash
from ledger.errors import CodecError, StorageError
from ledger.storage.bodies import BlockBody, encode_body, list_places
from ledger.storage.faults import storage_faults
from ledger.storage.installing import remove_unfinished
from ledger.storage.lock import lock_for_writing
from ledger.storage.pruning import prune_blocks
from ledger.storage.reader import ChainReader
from ledger.storage.schema import (
    SCHEMA_VERSION,
    WRITER_PRAGMAS,
    MetaRow,
    WalRow,
    create_tables,
    raw_connection,
)
from ledger.types.block import Block, Certificate, Header
from ledger.types.genesis import Genesis

CACHED_KEYS_MAX = 20_000
CACHED_VALUE_BYTES_MAX = 1_024  # accounts and devices; with the above at most 20 MB
PRELOADED_KEYS_MIN = 32  # fewer are read one by one
_KEYS_A_QUERY = 256
_ROWS_A_STATEMENT = 32  # a statement of its own for each row takes longer
_WAL_BLOCK = 0  # the other kinds are the numbers of `VoteKind`

_GET_STATES = f"SELECT key, value FROM state WHERE key IN ({','.join('?' * _KEYS_A_QUERY)})"  # noqa: S608 - no text from outside
_PUT_BLOCK = "INSERT INTO block (height, hash, header, proof, body) VALUES (?,?,?,?,?)"
_PUT_PLACE = "INSERT INTO place (short_id, height, position) VALUES "
_PUT_AGENT_SET = "INSERT INTO agent_set (epoch, height, payload) VALUES (?,?,?)"
_PUT_STATE = "REPLACE INTO state (key, value) VALUES "
_DELETE_STATE = "DELETE FROM state WHERE key = ?"
_DROP_WAL = "DELETE FROM wal WHERE epoch = ? AND slot = ? AND kind = ? AND block_hash = ?"
_PUT_WAL = "INSERT INTO wal (epoch, slot, kind, block_hash, payload) VALUES (?,?,?,?,?)"

_blocks = Decoder(Block)
_certificates = Decoder(Certificate)
_headers = Decoder(Header)


@dataclass(frozen=True, slots=True)
class NewBlock:
    """What becomes final: canonical bytes, and the ids of the body's transactions, in their order.

    `proof` is empty where the proof of a later block covers this one.
    """

    header: Header
    hash: bytes
    header_bytes: bytes
    proof: bytes
    body: BlockBody
    ids: tuple[bytes, ...]
    next_set: bytes = b""


@dataclass(frozen=True, slots=True)
class ConsensusLog:
    """What was written ahead and is not yet part of a final block."""

    blocks: tuple[Block, ...]
    certificates: tuple[Certificate, ...]


class ChainStore(ChainReader):
    """The chain database opened for writing: by one process, and in it by one thread at a time."""

    def __init__(self, path: Path, database: SqliteDatabase, lock: IO[bytes]) -> None:
        super().__init__(path, database)
        self._lock = lock
        self._is_failed = False
        self._cache: dict[bytes, bytes | None] = {}
        self.keep_blocks = 0  # all of them
        self.on_epoch_end: Callable[[], None] | None = None  # the state is still the end block's

    @classmethod
    def create_or_open(
        cls, path: Path, genesis: Genesis, first_state: Mapping[bytes, bytes | None]
    ) -> Self:
        """Open the chain of `genesis`, created with `first_state` where there is none.

        Raises `StorageError` where another process writes it, it is another chain's or cannot be
        read, and `CorruptStorageError` where SQLite finds it damaged.
        """
        lock = lock_for_writing(path)
        remove_unfinished(path)
        database = SqliteDatabase(
            str(path),
            pragmas=WRITER_PRAGMAS,
            lock_type="IMMEDIATE",
            autoconnect=False,
            thread_safe=False,
            check_same_thread=False,
        )
        store = cls(path, database, lock)
        try:
            with storage_faults(path, "open"):
                database.connect()
                store._check_pages()
            store._initialise(genesis, first_state)
        except StorageError:
            store.close()
            raise
        return store

    def close(self) -> None:
        """Close the database, leaving all of it in the one file, and let another process write."""
        if not self._database.is_closed():
            try:
                with storage_faults(self.path, "close"):
                    raw_connection(self._database).execute("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                self._database.close()
                self._lock.close()
        self._lock.close()

    def get(self, key: bytes, /) -> bytes | None:
        """Return the value of the newest final state under `key`, or None."""
        if key in self._cache:
            return self._cache[key]
        value = super().get(key)
        self._remember({key: value})
        return value

    def preload(self, keys: Iterable[bytes]) -> None:
        """Read what a block is about to ask for: together, and in the order of pages."""
        wanted = sorted({key for key in keys if key not in self._cache})
        if len(wanted) < PRELOADED_KEYS_MIN:
            return
        values: dict[bytes, bytes | None] = dict.fromkeys(wanted)
        with storage_faults(self.path, "read"):
            connection = raw_connection(self._database)
            for start in range(0, len(wanted), _KEYS_A_QUERY):
                some = wanted[start : start + _KEYS_A_QUERY]
                some += some[-1:] * (_KEYS_A_QUERY - len(some))  # always the same statement
                values.update(connection.execute(_GET_STATES, some))
        self._remember(values)

    def write_ahead_block(self, header: Header, block_hash: bytes, block: Block) -> None:
        """Make a block durable before it is voted for."""
        self._write_ahead((header.epoch, header.slot, _WAL_BLOCK, block_hash), encode(block))

    def write_ahead_certificate(self, certificate: Certificate) -> None:
        """Make a certificate durable before votes that rest on it."""
        subject = (certificate.epoch, certificate.slot, certificate.kind, certificate.block_hash)
        self._write_ahead(subject, encode(certificate))

    def _write_ahead(self, subject: tuple[int, int, int, bytes], payload: bytes) -> None:
        """Write one row durably, in place of one about the same subject."""
        with self._writing():
            connection = raw_connection(self._database)
            connection.execute(_DROP_WAL, subject)
            connection.execute(_PUT_WAL, (*subject, payload))

    def consensus_log(self) -> ConsensusLog:
        """Return what was written ahead above the newest final block, in the order of slots."""
        query = WalRow.select(WalRow.kind, WalRow.block_hash, WalRow.payload)
        with storage_faults(self.path, "read"):
            ordered = query.order_by(WalRow.epoch, WalRow.slot, WalRow.kind, WalRow.block_hash)
            rows = list(ordered.tuples().execute(self._database))
        try:
            blocks = tuple(_blocks.decode(row[2]) for row in rows if row[0] == _WAL_BLOCK)
            certificates = tuple(
                _certificates.decode(row[2]) for row in rows if row[0] != _WAL_BLOCK
            )
        except CodecError as error:
            raise self._corrupt(f"the consensus log is {error}") from None
        names = [row[1] for row in rows if row[0] == _WAL_BLOCK]
        if names != [header_hash(block.header) for block in blocks]:
            raise self._corrupt("a block of the consensus log does not hash to its name")
        return ConsensusLog(blocks, certificates)

    def commit_block(self, block: NewBlock, writes: Mapping[bytes, bytes | None]) -> None:
        """Make a block final with everything it changes, in one durable transaction."""
        height, count = block.header.height, len(block.ids)
        assert len(block.body.transactions) == len(block.body.outcomes) == count, "one id for each"
        with self._writing():
            connection = raw_connection(self._database)
            body = encode_body(block.body)
            connection.execute(
                _PUT_BLOCK, (height, block.hash, block.header_bytes, block.proof, body)
            )
            _put_rows(connection, _PUT_PLACE, list_places(block.ids, height))
            if block.next_set:
                row = (block.header.epoch + 1, height, block.next_set)
                connection.execute(_PUT_AGENT_SET, row)
            self._write_state(writes)
            connection.execute(
                "DELETE FROM wal WHERE epoch < ? OR (epoch = ? AND slot <= ?)",
                (block.header.epoch, block.header.epoch, block.header.slot),
            )
            if self.keep_blocks:
                prune_blocks(connection, height, self.keep_blocks, self.list_ids)
        self._remember(writes)
        if block.next_set and self.on_epoch_end is not None:
            self.on_epoch_end()

    def _write_state(self, writes: Mapping[bytes, bytes | None]) -> None:
        connection = raw_connection(self._database)
        changed = [item for item in writes.items() if item[1] is not None]
        changed.sort(key=itemgetter(0))  # in the order of pages
        _put_rows(connection, _PUT_STATE, changed)
        connection.executemany(
            _DELETE_STATE, [(key,) for key, value in writes.items() if value is None]
        )

    def _remember(self, values: Mapping[bytes, bytes | None]) -> None:
        """Keep small values at hand; those that were kept first make room."""
        cache = self._cache
        for key, value in values.items():
            cache.pop(key, None)
            if value is None or len(value) <= CACHED_VALUE_BYTES_MAX:
                cache[key] = value
        if len(cache) > CACHED_KEYS_MAX:
            # Many at once: to find a dict's first key it is searched from where its first one ever stood.
            for key in list(islice(cache, len(cache) - CACHED_KEYS_MAX + CACHED_KEYS_MAX // 8)):
                del cache[key]

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Run one durable transaction; after any error the store takes no more."""
        if self._is_failed:
            raise StorageError(f"{self.path}: a write failed before: restart the ledger")
        self._is_failed = True
        with storage_faults(self.path, "write"), self._database.atomic():
            yield
        self._is_failed = False

    def _check_pages(self) -> None:
        verdict = raw_connection(self._database).execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise self._corrupt(str(verdict).replace("\n", " "))

    def _initialise(self, genesis: Genesis, first_state: Mapping[bytes, bytes | None]) -> None:
        with storage_faults(self.path, "read"):
            is_new = not self._database.get_tables()
        encoded = encode(genesis)
        if is_new:
            with self._writing():
                create_tables(self._database)
                facts = {"schema_version": SCHEMA_VERSION.to_bytes(4, "big"), "genesis": encoded}
                for name, value in facts.items():
                    MetaRow.insert(name=name, value=value).execute(self._database)
                self._write_state(first_state)
        self.check_schema()
        ours, theirs = chain_id(encoded), chain_id(encode(self.genesis()))
        if ours != theirs:
            raise StorageError(
                f"{self.path}: holds chain {theirs.hex()[:16]}, the genesis file is of chain"
                f" {ours.hex()[:16]}: put the right genesis.json back or use another home folder"
            )


def _put_rows(
    connection: sqlite3.Connection, statement: str, rows: Sequence[Sequence[Any]]
) -> None:
    """Insert rows, many with each statement; it ends where their values belong."""
    if not rows:
        return
    row = f"({','.join('?' * len(rows[0]))})"
    whole = len(rows) - len(rows) % _ROWS_A_STATEMENT
    many = statement + ",".join([row] * _ROWS_A_STATEMENT)
    for start in range(0, whole, _ROWS_A_STATEMENT):
        connection.execute(many, list(chain(*rows[start : start + _ROWS_A_STATEMENT]))).close()
    connection.executemany(statement + row, rows[whole:])
