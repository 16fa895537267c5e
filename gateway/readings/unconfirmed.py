"""Messages of an external broker whose acknowledgement may not have arrived.

Each is noted in the commit of its own reading, so that a repeat of it is recognised after a kill.
The table is made by the first gateway that needs it.
"""

import sqlite3
from collections.abc import Sequence
from functools import partial

from gateway.readings.commit_queue import CommitQueue

_CREATE = """
CREATE TABLE IF NOT EXISTS unconfirmed (packet_id INTEGER PRIMARY KEY, digest BLOB NOT NULL)
"""


class UnconfirmedLog:
    """Packet ids with the digests of their last messages. For the event loop's thread."""

    def __init__(self, queue: CommitQueue) -> None:
        self._queue = queue

    def load(self) -> dict[int, bytes]:
        """Return what is kept; raises `StoreError`."""
        return self._queue.run_now(_load)

    def note(self, packet_id: int, digest: bytes, forgotten: Sequence[int]) -> None:
        """Note a message in the commit of its reading, which the store must take next, in this turn.

        The packet ids `forgotten` are removed in the same commit.
        """
        if self._queue.failure is None:
            self._queue.add_job(partial(_save, row=(packet_id, digest), forgotten=tuple(forgotten)))


def _load(connection: sqlite3.Connection) -> dict[int, bytes]:
    connection.execute(_CREATE).close()
    return dict(connection.execute("SELECT packet_id, digest FROM unconfirmed").fetchall())


def _save(
    connection: sqlite3.Connection, *, row: tuple[int, bytes], forgotten: tuple[int, ...]
) -> None:
    connection.executemany(
        "DELETE FROM unconfirmed WHERE packet_id = ?", [(one,) for one in forgotten]
    ).close()
    connection.execute("INSERT OR REPLACE INTO unconfirmed VALUES (?, ?)", row).close()
