"""Where readings lie in the database: new ones in the log, older ones in pages of their device.

A commit appends one row to `log` with all that it stores, of however many devices: that costs some
database pages more, where a row per reading would touch one for each device. Once the log holds
`LOG_BYTES_MAX` it is folded: each device's readings become rows of `page`, in one transaction.

Rule 1: a reading stands in the log or in a page, never in both and never in none.
Rule 2: of one device, what is in the log follows what is in pages, without a gap.
Every function runs on a connection that the caller may use now.
"""

import sqlite3
from collections.abc import Generator, Iterator, Mapping
from typing import Final

from gateway.readings.runs import (
    PAGE_READINGS_MAX,
    Run,
    decode_page,
    decode_runs,
    encode_page,
    encode_runs,
    merge_runs,
)

# Read whole at a start and by other processes, and folded in one commit: some 10,000 readings.
LOG_BYTES_MAX: Final = 2 * 1024 * 1024
SEQUENCE_MAX: Final = 2**63 - 1

_INSERT_LOG = "INSERT INTO log (runs) VALUES (?)"
_INSERT_PAGE = "INSERT INTO page (device, first, count, readings) VALUES (?, ?, ?, ?)"
_SELECT_LOG = "SELECT runs FROM log ORDER BY entry"
_SELECT_NEWEST = (
    "SELECT first, readings FROM page WHERE device = ? AND first <= ? ORDER BY first DESC"
)
_SELECT_PAGES = (
    "SELECT first, readings FROM page WHERE device = ? AND first > ? AND first <= ? ORDER BY first"
)
_DELETE_PAGE = "DELETE FROM page WHERE device = ? AND first = ?"


def append_log(connection: sqlite3.Connection, runs: Mapping[int, Run]) -> None:
    """Keep the runs of one commit."""
    connection.execute(_INSERT_LOG, (encode_runs(list(runs.values())),)).close()


def read_log(connection: sqlite3.Connection) -> dict[int, Run]:
    """Return what the log holds of each device, by its key; raises `DamagedRowError`."""
    rows = connection.execute(_SELECT_LOG)
    return merge_runs(run for (raw,) in rows for run in decode_runs(raw))


def fold_log(connection: sqlite3.Connection, runs: Mapping[int, Run]) -> None:
    """Empty the log; `runs` are all that it held, and what else becomes pages with it."""
    connection.execute("DELETE FROM log").close()
    for device in sorted(runs):
        add_pages(connection, runs[device])


def add_pages(connection: sqlite3.Connection, run: Run) -> None:
    """Keep a run in pages."""
    readings = run.readings
    for start in range(0, len(readings), PAGE_READINGS_MAX):
        piece = readings[start : start + PAGE_READINGS_MAX]
        row = (run.device, run.first + start, len(piece), encode_page(piece))
        connection.execute(_INSERT_PAGE, row).close()


def read_pages(
    connection: sqlite3.Connection, device: int, first: int, last: int
) -> Iterator[tuple[int, bytes]]:
    """Give the readings in pages between two sequences, in order; raises `DamagedRowError`."""
    for page_first, raw in _select(connection, device, first, last):
        yield from decode_page(device, page_first, raw).cut(first, last)


def read_pages_backwards(
    connection: sqlite3.Connection, device: int, last: int
) -> Generator[tuple[int, bytes], None, None]:
    """Give the readings in pages up to sequence `last`, newest first; raises `DamagedRowError`."""
    for page_first, raw in connection.execute(_SELECT_NEWEST, (device, last)):
        run = decode_page(device, page_first, raw)
        yield from reversed(list(run.cut(page_first, last)))


def drop_from_pages(connection: sqlite3.Connection, device: int, first: int, last: int) -> int:
    """Delete the readings between two sequences from pages and return how many there were."""
    dropped = 0
    for page_first, raw in _select(connection, device, first, last).fetchall():
        page = decode_page(device, page_first, raw)
        if page.last < first:
            continue
        connection.execute(_DELETE_PAGE, (device, page_first)).close()
        before = page.readings[: max(0, first - page_first)]
        after = page.readings[max(0, last + 1 - page_first) :]
        if before:
            add_pages(connection, Run(device, page_first, before))
        if after:
            add_pages(connection, Run(device, last + 1, after))
        dropped += len(page.readings) - len(before) - len(after)
    return dropped


def _select(connection: sqlite3.Connection, device: int, first: int, last: int) -> sqlite3.Cursor:
    """Find the pages that may hold one of the sequences."""
    # No page is longer, so none that starts at `before` or earlier reaches to `first`.
    before = first - PAGE_READINGS_MAX
    return connection.execute(_SELECT_PAGES, (device, before, min(last, SEQUENCE_MAX)))
