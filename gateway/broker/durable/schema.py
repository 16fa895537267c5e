"""The tables of the sessions database, through peewee, and what every connection to it runs with.

No foreign keys: the only writer keeps the rows together, and each check would cost a look-up. The models
are bound to no database: what is run on them runs on the connection of the one that has the file open.
"""

import sqlite3
from typing import Final

from peewee import (
    SQL,
    BlobField,
    CompositeKey,
    IntegerField,
    Model,
    SchemaManager,
    SqliteDatabase,
    TextField,
)

SCHEMA_VERSION: Final = 1
BUSY_TIMEOUT_S = 5
PAGE_BYTES = 1_024  # a commit is a few small rows, and writes whole pages
JOURNAL_BYTES_MAX = (
    8 * 1024 * 1024
)  # then the log is copied into the file: each page once, its newest
PRAGMAS: Final = (
    ("page_size", PAGE_BYTES),
    ("journal_mode", "WAL"),
    ("wal_autocheckpoint", JOURNAL_BYTES_MAX // PAGE_BYTES),
    ("synchronous", "FULL"),  # a commit that returned is on disk
    ("cell_size_check", "ON"),
    ("journal_size_limit", JOURNAL_BYTES_MAX),
)


class SessionTable(Model):
    """A session with its principal's rights; `left_at_ms` is NULL while its client is connected."""

    session = IntegerField(primary_key=True)
    principal = TextField()
    client_id = TextField()
    rights = BlobField()
    expiry_s = IntegerField()
    left_at_ms = IntegerField(null=True)
    sent_number = IntegerField()

    class Meta:
        """Options of the table."""

        table_name = "session"
        constraints = (SQL("UNIQUE (principal, client_id)"),)


class SubscriptionTable(Model):
    """A subscription of a session."""

    session = IntegerField()
    topic_filter = TextField(column_name="filter")  # peewee's Model has a method `filter`
    options = BlobField()

    class Meta:
        """Options of the table."""

        table_name = "subscription"
        primary_key = CompositeKey("session", "topic_filter")
        without_rowid = True


class MessageTable(Model):
    """A message that deliveries refer to."""

    message = IntegerField(primary_key=True)
    encoded = BlobField()

    class Meta:
        """Options of the table."""

        table_name = "message"


class DeliveryTable(Model):
    """A message on its way to a session; one without a message has only its packet id left."""

    session = IntegerField()
    number = IntegerField()
    packet_id = IntegerField()
    message = IntegerField(null=True)
    qos = IntegerField()
    is_retained = IntegerField()
    subscription_ids = BlobField()

    class Meta:
        """Options of the table."""

        table_name = "delivery"
        primary_key = CompositeKey("session", "number")
        without_rowid = True


class ReceivedTable(Model):
    """A packet id of a QoS 2 message that came from a session's client."""

    session = IntegerField()
    packet_id = IntegerField()

    class Meta:
        """Options of the table."""

        table_name = "received"
        primary_key = CompositeKey("session", "packet_id")
        without_rowid = True


class RetainedTable(Model):
    """What is retained. It has row ids: without, only 231 bytes of a row stay in a page of this size."""

    topic = TextField(primary_key=True)
    owner = TextField(null=True)
    encoded = BlobField()

    class Meta:
        """Options of the table."""

        table_name = "retained"


TABLES: Final[tuple[type[Model], ...]] = (
    SessionTable,
    SubscriptionTable,
    MessageTable,
    DeliveryTable,
    ReceivedTable,
    RetainedTable,
)


def make_database(path: str) -> SqliteDatabase:
    """Return the database of a file, not connected yet; any one thread at a time may use it."""
    return SqliteDatabase(
        path,
        pragmas=PRAGMAS,
        timeout=BUSY_TIMEOUT_S,
        autoconnect=False,
        thread_safe=False,
        check_same_thread=False,
    )


def create_tables(database: SqliteDatabase) -> None:
    """Create the tables of an empty file, all or none."""
    with database.atomic("IMMEDIATE"):
        for table in TABLES:
            SchemaManager(table, database=database).create_all(safe=False)
        database.user_version = SCHEMA_VERSION


def raw_connection(database: SqliteDatabase) -> sqlite3.Connection:
    """Return the driver's connection, for statements that are prepared once and run often."""
    connection: sqlite3.Connection = database.connection()  # type: ignore[no-untyped-call]
    return connection
