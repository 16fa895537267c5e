"""QoS 2 exchanges that the broker has not ended, of messages whose reading is stored.

Each is noted in the commit of its own reading, so that a message that comes again after a kill is
known, and removed in a commit before its packet id may be used anew (MQTT section 4.3.3). A session
stands here as a digest of its names, so that a row is small however long these are. The table is
made by the first gateway that needs it.
"""

import hashlib
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Collection
from functools import partial

from gateway.readings.commit_queue import CommitQueue

SessionName = tuple[str, str]
"""Name of the principal, and client id."""

_DIGEST_BYTES = 16
_CREATE = """
CREATE TABLE IF NOT EXISTS exchange (
    session BLOB NOT NULL,
    packet_id INTEGER NOT NULL,
    PRIMARY KEY (session, packet_id)
) WITHOUT ROWID
"""
_INSERT = "INSERT OR REPLACE INTO exchange VALUES (?, ?)"
_DELETE = "DELETE FROM exchange WHERE session = ? AND packet_id = ?"
_DELETE_SESSION = "DELETE FROM exchange WHERE session = ?"


class ExchangeLog:
    """Packet ids by session. For the event loop's thread."""

    def __init__(self, queue: CommitQueue) -> None:
        self._queue = queue

    def load(self, sessions: Collection[SessionName]) -> dict[SessionName, frozenset[int]]:
        """Return the packet ids of those sessions, and forget all others; raises `StoreError`."""
        names = {_digest(session): session for session in sessions}
        found = self._queue.run_now(partial(_load, sessions=names.keys()))
        return {names[session]: frozenset(ids) for session, ids in found.items()}

    def note(self, session: SessionName, packet_id: int) -> None:
        """Note an exchange in the commit of what the store takes next, in this turn."""
        self._write(_INSERT, _digest(session), packet_id)

    def forget(self, session: SessionName, packet_id: int, done: Callable[[], None]) -> None:
        """Remove an exchange that ended; `done` is called after the commit, never if it fails."""
        self._write(_DELETE, _digest(session), packet_id, done=done)

    def forget_session(self, session: SessionName, done: Callable[[], None]) -> None:
        """Remove all exchanges of a session that is over."""
        self._write(_DELETE_SESSION, _digest(session), done=done)

    def _write(
        self, statement: str, *row: bytes | int, done: Callable[[], None] = lambda: None
    ) -> None:
        if self._queue.failure is None:  # else nothing is written any more: the process ends
            self._queue.add_job(partial(_execute, statement=statement, row=row), done)


def _digest(session: SessionName) -> bytes:
    principal = session[0].encode()
    data = len(principal).to_bytes(2, "big") + principal + session[1].encode()
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest()


def _execute(
    connection: sqlite3.Connection, *, statement: str, row: tuple[bytes | int, ...]
) -> None:
    connection.execute(statement, row).close()


def _load(connection: sqlite3.Connection, *, sessions: Collection[bytes]) -> dict[bytes, set[int]]:
    connection.execute(_CREATE).close()
    found: dict[bytes, set[int]] = defaultdict(set)
    for session, packet_id in connection.execute("SELECT session, packet_id FROM exchange"):
        found[session].add(packet_id)
    for session in found.keys() - sessions:
        connection.execute(_DELETE_SESSION, (session,)).close()
        del found[session]
    return found
