"""A PostgreSQL archive of one chain.

Rule 1: blocks are appended in order, each with all its transactions or not at all; what is there
already is left as it is, so following again, or from two nodes, changes nothing.
Rule 2: an archive is of one chain: another chain's blocks, or a fork of this one, are refused.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Self

from peewee import PeeweeException, PostgresqlDatabase, SchemaManager, fn

from ledger.archive.rows import build_block_row, build_transaction_row
from ledger.archive.schema import TABLES, BlockRow, MetaRow, TransactionRow
from ledger.errors import ArchiveError
from ledger.storage.reader import ChainReader, StoredBlock, StoredTransaction

LAYOUT = b"1"
CONNECT_TIMEOUT_S = 10
STATEMENT_TIMEOUT_MS = 60_000  # a server that hangs is one that is away
ROWS_A_STATEMENT = 500  # parameters of one statement stay far below PostgreSQL's 65,535
_ERROR_CHARS_MAX = 200


class Archive:
    """An open archive. One thread at a time."""

    def __init__(self, database: PostgresqlDatabase) -> None:
        self._database = database

    @classmethod
    def open(cls, url: str, chain_id: bytes) -> Self:
        """Connect and create what is missing; raises `ArchiveError` in one line, without the URL."""
        database = PostgresqlDatabase(
            url,
            prefer_psycopg3=True,
            autoconnect=False,
            thread_safe=False,
            connect_timeout=CONNECT_TIMEOUT_S,
            options=f"-c statement_timeout={STATEMENT_TIMEOUT_MS}",
        )
        archive = cls(database)
        with _archive_faults("connect to"):
            database.connect()
        try:
            archive._initialise(chain_id)
        except ArchiveError:
            archive.close()
            raise
        return archive

    def close(self) -> None:
        """Close the connection."""
        self._database.close()

    def height(self) -> int:
        """Return the height of the newest block in the archive, 0 for none."""
        with _archive_faults("read"):
            rows = list(BlockRow.select(fn.MAX(BlockRow.height)).tuples().execute(self._database))
        return rows[0][0] or 0

    def block_hash(self, height: int) -> bytes | None:
        """Return the hash of an archived block."""
        query = BlockRow.select(BlockRow.hash).where(BlockRow.height == height)
        with _archive_faults("read"):
            rows = list(query.tuples().execute(self._database))
        return bytes(rows[0][0]) if rows else None

    def append(self, block: StoredBlock, transactions: Sequence[StoredTransaction]) -> None:
        """Add a block with its transactions, all or nothing; one that is there changes nothing."""
        rows = [build_transaction_row(one) for one in transactions]
        with _archive_faults("write to"), self._database.atomic():
            insert = BlockRow.insert(**build_block_row(block, len(rows)))
            insert.on_conflict_ignore().execute(self._database)
            for start in range(0, len(rows), ROWS_A_STATEMENT):
                many = TransactionRow.insert_many(rows[start : start + ROWS_A_STATEMENT])
                many.on_conflict_ignore().execute(self._database)

    def _initialise(self, chain_id: bytes) -> None:
        with _archive_faults("set up"), self._database.atomic():
            for table in TABLES:
                SchemaManager(table, database=self._database).create_all(safe=True)
            for name, value in (("layout", LAYOUT), ("chain_id", chain_id)):
                insert = MetaRow.insert(name=name, value=value)
                insert.on_conflict_ignore().execute(self._database)
            found = dict(
                MetaRow.select(MetaRow.name, MetaRow.value).tuples().execute(self._database)
            )
        if bytes(found["layout"]) != LAYOUT:
            raise ArchiveError("the archive was made by another release: use an empty database")
        if bytes(found["chain_id"]) != chain_id:
            raise ArchiveError(
                f"the archive is of chain {bytes(found['chain_id']).hex()[:16]}, this node of"
                f" {chain_id.hex()[:16]}: use an empty database"
            )


def follow(reader: ChainReader, archive: Archive, blocks_max: int) -> int:
    """Copy what the archive lacks, at most so many blocks; return how many were copied.

    Raises `ArchiveError` where the archive's newest block is not the chain's, or the next one is pruned.
    """
    height = archive.height()
    if height:
        known = reader.block(height)
        if known is None and height > reader.pruned_height():
            return 0  # another node that follows into this archive is ahead of us
        if known is not None and known.hash != archive.block_hash(height):
            raise ArchiveError(f"block {height} of the archive is not this chain's: it forked")
    copied = 0
    while copied < blocks_max:
        with reader.snapshot():
            following = height + copied + 1
            if following <= reader.pruned_height():
                raise ArchiveError(
                    f"block {following} is no longer kept here: fill the archive from a node that keeps all"
                )
            block = reader.block(following)
            transactions = () if block is None else reader.transactions(block)
        if block is None:
            break
        archive.append(block, transactions)
        copied += 1
    return copied


@contextmanager
def _archive_faults(doing: str) -> Iterator[None]:
    """Turn any error of the driver into `ArchiveError`: its first line says what the server said."""
    try:
        yield
    except PeeweeException as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ArchiveError(
            f"cannot {doing} the PostgreSQL archive: {line[:_ERROR_CHARS_MAX]}"
        ) from error
