"""Reading the chain database: for its one writer, and through `ChainReader.open` for anyone else.

What is read is checked against what it must hash to, so damage is reported and never served.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from peewee import SqliteDatabase

from ledger.codec.canonical import Decoder
from ledger.codec.merkle import merkle_root
from ledger.crypto.domains import header_hash
from ledger.errors import CodecError, CorruptStorageError, PrunedError, StorageError
from ledger.storage.bodies import BlockBody, compute_id, decode_body, shorten_id
from ledger.storage.faults import (
    DRIVER_ERRORS,
    describe_corruption,
    storage_faults,
    to_storage_error,
)
from ledger.storage.pruning import PRUNED_HEIGHT
from ledger.storage.schema import (
    READER_PRAGMAS,
    SCHEMA_VERSION,
    AgentSetRow,
    BlockRow,
    MetaRow,
    raw_connection,
)
from ledger.types.agent_set import AgentSet
from ledger.types.block import Header
from ledger.types.genesis import Genesis

_headers = Decoder(Header)
_sets = Decoder(AgentSet)
_genesis = Decoder(Genesis)

_GET_STATE = "SELECT value FROM state WHERE key = ?"
_GET_BODY = "SELECT body FROM block WHERE height = ?"
# One statement, so that nothing is dropped between finding the place and reading what stands there.
_GET_PLACES = (
    "SELECT height, position, body FROM place LEFT JOIN block USING (height) WHERE short_id = ?"
)


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A final block without its transactions; `header_bytes` and `proof` are canonical."""

    header: Header
    hash: bytes
    header_bytes: bytes
    proof: bytes


@dataclass(frozen=True, slots=True)
class StoredTransaction:
    """A final transaction: where it stands, its bytes as received and its canonical outcome."""

    id: bytes
    height: int
    position: int
    raw: bytes
    outcome: bytes


@dataclass(frozen=True, slots=True)
class StoredAgentSet:
    """The set of an epoch, and the height of the end block that names it."""

    height: int
    payload: bytes
    agents: AgentSet


class ChainReader:
    """Everything that can be asked of the chain database. Also the `StateReader` of its state."""

    def __init__(self, path: Path, database: SqliteDatabase) -> None:
        self.path = path
        self._database = database

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open for reading only, beside the writer; raises `StorageError`."""
        if not path.exists():
            raise StorageError(f"{path}: no chain database: start the ledger once to create it")
        database = SqliteDatabase(
            f"{path.absolute().as_uri()}?mode=ro",
            pragmas=READER_PRAGMAS,
            uri=True,
            autoconnect=False,
            thread_safe=False,  # one reader belongs to one thread at a time
            check_same_thread=False,
        )
        with storage_faults(path, "open"):
            database.connect()
        reader = cls(path, database)
        try:
            reader.check_schema()
        except StorageError:
            reader.close()
            raise
        return reader

    def close(self) -> None:
        """Close the connection; a closed reader stays closed."""
        self._database.close()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let every read inside see one and the same moment of the chain."""
        with storage_faults(self.path, "read"), self._database.atomic():
            yield

    def get(self, key: bytes, /) -> bytes | None:
        """Return the value of the newest final state under `key`, or None."""
        try:  # `storage_faults` written out: a block asks for thousands of keys
            row = raw_connection(self._database).execute(_GET_STATE, (key,)).fetchone()
        except DRIVER_ERRORS as error:
            raise to_storage_error(self.path, "read", error) from error
        return None if row is None else row[0]

    def state_items(self) -> Iterator[tuple[bytes, bytes]]:
        """Iterate over the whole newest final state."""
        with storage_faults(self.path, "read"):
            yield from raw_connection(self._database).execute("SELECT key, value FROM state")

    def genesis(self) -> Genesis:
        """Return the genesis that this chain started from."""
        try:
            return _genesis.decode(self._meta("genesis"))
        except CodecError as error:
            raise self._corrupt(f"genesis {error}") from None

    def tip(self) -> StoredBlock | None:
        """Return the newest final block, or None while there is only the genesis."""
        newest = BlockRow.select(BlockRow.height).order_by(BlockRow.height.desc()).limit(1)
        with storage_faults(self.path, "read"):
            rows = list(newest.tuples().execute(self._database))
        return self.block(rows[0][0]) if rows else None

    def block(self, height: int) -> StoredBlock | None:
        """Return the final block at `height`, or None when there is none yet."""
        query = BlockRow.select(BlockRow.hash, BlockRow.header, BlockRow.proof)
        with storage_faults(self.path, "read"):
            rows = list(query.where(BlockRow.height == height).tuples().execute(self._database))
        if not rows:
            return None
        block_hash, header_bytes, proof = rows[0]
        header = self._decode_header(height, block_hash, header_bytes)
        return StoredBlock(header, block_hash, header_bytes, proof)

    def pruned_height(self) -> int:
        """Return up to which height transactions are no longer kept, nor blocks that end no epoch."""
        return int.from_bytes(self._find_meta(PRUNED_HEIGHT) or b"", "big")

    def check_kept(self, height: int) -> None:
        """Raise `PrunedError` where a final block is no longer kept whole."""
        if 0 < height <= self.pruned_height():
            raise PrunedError(
                f"block {height} is no longer kept by this node: ask one that keeps all"
            )

    def agent_sets(self, epoch_max: int, *, epoch_min: int = 1) -> tuple[StoredAgentSet, ...]:
        """Return the sets of the epochs from `epoch_min` to `epoch_max`, in order."""
        query = AgentSetRow.select(AgentSetRow.height, AgentSetRow.payload)
        with storage_faults(self.path, "read"):
            wanted = query.where(AgentSetRow.epoch.between(epoch_min, epoch_max))
            rows = list(wanted.order_by(AgentSetRow.epoch).tuples().execute(self._database))
        return tuple(self._decode_set(*row) for row in rows)

    def newest_agent_set(self, epoch_max: int) -> StoredAgentSet | None:
        """Return the newest set that is kept of the epochs from 1 to `epoch_max`, or None.

        An epoch whose set is not kept has the agents of the one before.
        """
        query = AgentSetRow.select(AgentSetRow.height, AgentSetRow.payload)
        with storage_faults(self.path, "read"):
            ordered = query.where(AgentSetRow.epoch <= epoch_max).order_by(AgentSetRow.epoch.desc())
            rows = list(ordered.limit(1).tuples().execute(self._database))
        return self._decode_set(*rows[0]) if rows else None

    def transactions(self, block: StoredBlock) -> tuple[StoredTransaction, ...]:
        """Return the block's transactions in order, checked against the roots in its header.

        Raises `PrunedError` where they are no longer kept.
        """
        height = block.header.height
        self.check_kept(height)
        with storage_faults(self.path, "read"):
            row = raw_connection(self._database).execute(_GET_BODY, (height,)).fetchone()
        body = self._decode_body(height, None if row is None else row[0])
        roots = (merkle_root(body.transactions), merkle_root(body.outcomes))
        if roots != (block.header.transactions_root, block.header.outcomes_root):
            raise self._corrupt(f"the transactions of block {height} are not those it was made of")
        return tuple(self._stored(body, height, at) for at in range(len(body.transactions)))

    def transaction(self, id_: bytes) -> StoredTransaction | None:
        """Return the final transaction with this id, or None."""
        with storage_faults(self.path, "read"):
            places = raw_connection(self._database).execute(_GET_PLACES, (shorten_id(id_),))
            found = places.fetchall()
        for height, position, body in found:
            stored = self._stored(self._decode_body(height, body), height, position)
            if stored.id == id_:
                return stored
        return None

    def has_transaction(self, id_: bytes) -> bool:
        """Tell whether a transaction with this id is final."""
        return self.transaction(id_) is not None

    def list_ids(self, height: int, body: bytes) -> list[bytes]:
        """Return the ids of the transactions in a stored body; raise `CorruptStorageError` where it is damaged."""
        decoded = self._decode_body(height, body)
        return [self._stored(decoded, height, at).id for at in range(len(decoded.transactions))]

    def check_schema(self) -> None:
        """Raise `StorageError` unless this program knows the database's layout."""
        version = int.from_bytes(self._meta("schema_version"), "big")
        if version != SCHEMA_VERSION:
            raise StorageError(
                f"{self.path}: written with layout {version}, this program knows {SCHEMA_VERSION}:"
                " install the version that wrote it"
            )

    def _meta(self, name: str) -> bytes:
        value = self._find_meta(name)
        if value is None:
            raise self._corrupt(f"{name} is missing")
        return value

    def _find_meta(self, name: str) -> bytes | None:
        query = MetaRow.select(MetaRow.value).where(MetaRow.name == name)
        with storage_faults(self.path, "read"):
            rows = list(query.tuples().execute(self._database))
        return rows[0][0] if rows else None

    def _decode_set(self, height: int, payload: bytes) -> StoredAgentSet:
        try:
            return StoredAgentSet(height, payload, _sets.decode(payload))
        except CodecError as error:
            raise self._corrupt(f"the agents that block {height} names: {error}") from None

    def _decode_body(self, height: int, stored: bytes | None) -> BlockBody:
        if stored is None:
            raise self._corrupt(f"block {height} is missing")
        try:
            return decode_body(stored)
        except CorruptStorageError as error:
            raise self._corrupt(f"block {height}: {error}") from None

    def _stored(self, body: BlockBody, height: int, position: int) -> StoredTransaction:
        try:
            raw, outcome = body.transactions[position], body.outcomes[position]
            return StoredTransaction(compute_id(raw), height, position, raw, outcome)
        except (IndexError, CodecError):
            detail = f"block {height} holds no transaction at {position}"
            raise self._corrupt(detail) from None

    def _decode_header(self, height: int, block_hash: bytes, encoded: bytes) -> Header:
        try:
            header = _headers.decode(encoded)
        except CodecError as error:
            raise self._corrupt(f"header {height} {error}") from None
        if header_hash(encoded) != block_hash or header.height != height:
            raise self._corrupt(f"header {height} does not hash to its block's name")
        return header

    def _corrupt(self, detail: str) -> CorruptStorageError:
        return CorruptStorageError(describe_corruption(self.path, detail))
