"""The tables of the chain database and the settings every connection runs with.

The models are bound to no database: each query names the one it runs on.
"""

import sqlite3

from peewee import (
    BlobField,
    CompositeKey,
    IntegerField,
    InterfaceError,
    Model,
    SchemaManager,
    SqliteDatabase,
    TextField,
)

SCHEMA_VERSION = 5

JOURNAL_BYTES_MAX = 64 * 1024 * 1024  # what the write-ahead file may keep after a burst
_BUSY_TIMEOUT_MS = 5_000  # a checkpoint may hold a reader up, never longer than this
# At rest a block changes a few rows of several trees, and each changed page is written whole: small ones write a
# third of what SQLite's usual 4 KiB would, and full blocks take no longer. A file keeps the size of its creation.
_PAGE_BYTES = 1_024
# Keys are hashes, so every block changes other pages, and one that changed ten times meanwhile is copied once.
_CHECKPOINT_BYTES = 16 * 1024 * 1024
_WRITER_CACHE_KIB = 8 * 1024  # none of the pages that a block touches is read twice for it

READER_PRAGMAS = {
    "busy_timeout": _BUSY_TIMEOUT_MS,
    "cell_size_check": "ON",  # a corrupt page is refused where it is read
    "query_only": "ON",
}
WRITER_PRAGMAS = {
    "page_size": _PAGE_BYTES,
    "journal_mode": "WAL",
    "synchronous": "FULL",  # a commit that returned survives a power cut
    "busy_timeout": _BUSY_TIMEOUT_MS,
    "foreign_keys": "ON",
    "cell_size_check": "ON",
    "journal_size_limit": JOURNAL_BYTES_MAX,
    "wal_autocheckpoint": _CHECKPOINT_BYTES // _PAGE_BYTES,
    "cache_size": -_WRITER_CACHE_KIB,  # negative: KiB
}
FOLDING_PRAGMAS = {"synchronous": "FULL", "busy_timeout": _BUSY_TIMEOUT_MS}


class MetaRow(Model):
    """Facts about the database itself: its schema version and its genesis."""

    name = TextField(primary_key=True)
    value = BlobField()

    class Meta:
        """Options of the table."""

        table_name = "meta"
        strict_tables = True
        without_rowid = True


class BlockRow(Model):
    """One final block: canonical header bytes, its finality proof's, and its body (see `bodies`).

    The proof is empty where the next block that has one covers this one too. The body stands last: what
    reads the rest does not read it.
    """

    height = IntegerField(primary_key=True)
    hash = BlobField()
    header = BlobField()
    proof = BlobField()
    body = BlobField()

    class Meta:
        """Options of the table."""

        table_name = "block"
        strict_tables = True


class PlaceRow(Model):
    """Where a final transaction stands, by the first bytes of its id."""

    short_id = IntegerField()
    height = IntegerField()
    position = IntegerField()

    class Meta:
        """Options of the table."""

        table_name = "place"
        strict_tables = True
        without_rowid = True  # the key is all there is
        primary_key = CompositeKey("short_id", "height", "position")


class AgentSetRow(Model):
    """The set of an epoch from 1 on, canonical, and the height of the end block that names it."""

    epoch = IntegerField(primary_key=True)
    height = IntegerField()
    payload = BlobField()

    class Meta:
        """Options of the table."""

        table_name = "agent_set"
        strict_tables = True


class StateRow(Model):
    """One key of the newest final state."""

    key = BlobField(primary_key=True)
    value = BlobField()

    class Meta:
        """Options of the table."""

        table_name = "state"
        strict_tables = True
        without_rowid = True


class WalRow(Model):
    """A block (kind 0) or certificate (kind: its `VoteKind`) above the newest final block.

    No key but the row's own: there are few, and a row that an index holds has room for a quarter of a page.
    """

    epoch = IntegerField()
    slot = IntegerField()
    kind = IntegerField()
    block_hash = BlobField()
    payload = BlobField()

    class Meta:
        """Options of the table."""

        table_name = "wal"
        strict_tables = True


TABLES: tuple[type[Model], ...] = (MetaRow, BlockRow, PlaceRow, AgentSetRow, StateRow, WalRow)


def raw_connection(database: SqliteDatabase) -> sqlite3.Connection:
    """Return the driver's connection, for the hot paths where building a query would cost more.

    Raises peewee's `InterfaceError` when it is closed, as a query would.
    """
    if database.is_closed():
        raise InterfaceError("it is closed")
    connection: sqlite3.Connection = database.connection()  # type: ignore[no-untyped-call]
    return connection


def create_tables(database: SqliteDatabase) -> None:
    """Create what is missing."""
    for table in TABLES:
        SchemaManager(table, database=database).create_all(safe=True)
