"""Runs what the query builder wrote, on a connection that the caller may use now."""

import sqlite3
from typing import Any

from peewee import Query


def ask(connection: sqlite3.Connection, query: Query) -> list[tuple[Any, ...]]:
    """Return all rows of a question."""
    sql, values = query.sql()
    return connection.execute(sql, values).fetchall()


def ask_first(connection: sqlite3.Connection, query: Query) -> tuple[Any, ...] | None:
    """Return the first row of a question, or None."""
    sql, values = query.sql()
    row: tuple[Any, ...] | None = connection.execute(sql, values).fetchone()
    return row


def write(connection: sqlite3.Connection, query: Query) -> int:
    """Run a statement and return how many rows it changed."""
    sql, values = query.sql()
    return connection.execute(sql, values).rowcount
