"""One commit of the sessions database: its statements, in an order that fits whatever changed.

A batch can be written twice: it says how things are, not what happened.
"""

import sqlite3
from typing import Any, Final

_STATEMENTS: Final = {
    "end_session": (
        "DELETE FROM session WHERE session = ?",
        "DELETE FROM subscription WHERE session = ?",
        "DELETE FROM delivery WHERE session = ?",
        "DELETE FROM received WHERE session = ?",
    ),
    "put_session": ("INSERT OR REPLACE INTO session VALUES (?, ?, ?, ?, ?, ?, ?)",),
    "put_subscription": ("INSERT OR REPLACE INTO subscription VALUES (?, ?, ?)",),
    "remove_subscription": ("DELETE FROM subscription WHERE session = ? AND filter = ?",),
    "put_message": ("INSERT OR REPLACE INTO message VALUES (?, ?)",),
    "put_delivery": ("INSERT OR REPLACE INTO delivery VALUES (?, ?, ?, ?, ?, ?, ?)",),
    "empty_delivery": ("UPDATE delivery SET message = NULL WHERE session = ? AND number = ?",),
    "remove_delivery": ("DELETE FROM delivery WHERE session = ? AND number = ?",),
    "remove_message": ("DELETE FROM message WHERE message = ?",),
    "put_received": ("INSERT OR REPLACE INTO received VALUES (?, ?)",),
    "remove_received": ("DELETE FROM received WHERE session = ? AND packet_id = ?",),
    "put_retained": (  # in place, so that the index on topics stays as it is
        "INSERT INTO retained VALUES (?, ?, ?) ON CONFLICT (topic) "
        "DO UPDATE SET owner = excluded.owner, encoded = excluded.encoded",
    ),
    "remove_retained": ("DELETE FROM retained WHERE topic = ?",),
}


class Batch:
    """The rows of one commit; `first` is the oldest change in it."""

    __slots__ = ("_rows", "first")

    def __init__(self, first: int) -> None:
        self.first = first
        self._rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in _STATEMENTS}

    def add(self, statement: str, *parameters: Any) -> None:
        """Add a row to one of the statements."""
        self._rows[statement].append(parameters)

    def execute(self, connection: sqlite3.Connection) -> None:
        """Run the statements inside the transaction that is open."""
        for name, statements in _STATEMENTS.items():
            rows = self._rows[name]
            if rows:
                for statement in statements:
                    connection.executemany(statement, rows)
