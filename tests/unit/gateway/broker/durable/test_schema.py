"""Format 1 of the sessions database: files of it stay readable, whichever program made them."""

import sqlite3
from contextlib import closing
from pathlib import Path

from gateway.broker.durable.database import open_database
from gateway.broker.durable.encoding import encode_message
from gateway.broker.durable.loading import load
from gateway.broker.durable.schema import TABLES, raw_connection
from gateway.broker.message import Message

KEPT = Message("t", b"x", 1, is_retained=True)

FORMAT_1 = """
CREATE TABLE session (
    session INTEGER PRIMARY KEY, principal TEXT NOT NULL, client_id TEXT NOT NULL,
    rights BLOB NOT NULL, expiry_s INTEGER NOT NULL, left_at_ms INTEGER, sent_number INTEGER NOT NULL,
    UNIQUE (principal, client_id)
);
CREATE TABLE subscription (
    session INTEGER NOT NULL, filter TEXT NOT NULL, options BLOB NOT NULL,
    PRIMARY KEY (session, filter)
) WITHOUT ROWID;
CREATE TABLE message (message INTEGER PRIMARY KEY, encoded BLOB NOT NULL);
CREATE TABLE delivery (
    session INTEGER NOT NULL, number INTEGER NOT NULL, packet_id INTEGER NOT NULL, message INTEGER,
    qos INTEGER NOT NULL, is_retained INTEGER NOT NULL, subscription_ids BLOB NOT NULL,
    PRIMARY KEY (session, number)
) WITHOUT ROWID;
CREATE TABLE received (
    session INTEGER NOT NULL, packet_id INTEGER NOT NULL, PRIMARY KEY (session, packet_id)
) WITHOUT ROWID;
CREATE TABLE retained (topic TEXT PRIMARY KEY, owner TEXT, encoded BLOB NOT NULL);
PRAGMA user_version = 1;
"""


def describe(connection: sqlite3.Connection) -> dict[str, object]:
    """Return each table's columns (without NOT NULL of keys, which SQLite ignores) and its kind."""
    found: dict[str, object] = {}
    query = (
        "SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite%'"
    )
    for table, is_without_rowid in connection.execute(query).fetchall():
        columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
        found[table] = (
            is_without_rowid,
            [
                (name, kind, key, bool(key or not_null))
                for _, name, kind, not_null, _, key in columns
            ],
            [index[2:4] for index in connection.execute(f"PRAGMA index_list({table})")],
        )
    return found


def test_a_new_file_has_the_tables_of_format_1(tmp_path: Path):
    with closing(open_database(tmp_path / "sessions.db")) as database:
        made = describe(raw_connection(database))
        version = raw_connection(database).execute("PRAGMA user_version").fetchone()
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(FORMAT_1)
        assert made == describe(connection)
    assert version == (1,)
    assert made.keys() == {table._meta.table_name for table in TABLES}


def test_a_file_of_format_1_is_opened_as_it_is(tmp_path: Path):
    path = tmp_path / "sessions.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(FORMAT_1)
        connection.execute("INSERT INTO retained VALUES ('t', 'ann', ?)", (encode_message(KEPT),))
        connection.commit()

    with closing(open_database(path)) as database:
        assert load(raw_connection(database)).state.retained == ((KEPT, "ann"),)


def test_a_file_is_durable_and_small_in_its_pages(tmp_path: Path):
    with closing(open_database(tmp_path / "sessions.db")) as database:
        connection = raw_connection(database)
        settings = {
            name: connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "page_size", "cell_size_check")
        }
    assert settings == {
        "journal_mode": "wal",
        "synchronous": 2,
        "page_size": 1024,
        "cell_size_check": 1,
    }
