"""Runs what the query builder wrote, on a connection that the caller may use now."""

import sqlite3
from collections.abc import Sequence
from typing import Any, TypeAlias

from peewee import Query

# SQL and its values, for what is asked several times a second: to write it costs more than to ask it.
Written: TypeAlias = tuple[str, Sequence[Any]]


def ask(connection: sqlite3.Connection, query: Query) -> list[tuple[Any, ...]]:
    """Return all rows of a question."""
    return ask_written(connection, query.sql())


def ask_written(connection: sqlite3.Connection, written: Written) -> list[tuple[Any, ...]]:
    """Return all rows of a question that was written before."""
    sql, values = written
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
