"""What `SqliteJournal` does, without its thread and its timers: commits come when they are told."""

import sqlite3

from gateway.broker.changes import Change, StoredState
from gateway.broker.durable.loading import load
from gateway.broker.durable.pending import PendingChanges
from gateway.broker.ports import CommitDone


class PendingJournal:
    """Over the database of sessions; `write` is a commit that nobody was told of yet."""

    is_durable = True

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        loaded = load(connection)
        self.stored = loaded.state
        self.pending = PendingChanges(loaded.sessions, loaded.messages)
        self.waiting: list[tuple[int, CommitDone]] = []

    def load(self) -> StoredState:
        return self.stored

    def record(self, change: Change) -> None:
        self.pending.add(change)

    def commit(self, done: CommitDone) -> None:
        self.waiting.append((self.pending.last, done))
        if len(self.waiting) == 1:
            self.settle()

    def write(self) -> None:
        batch = self.pending.take(with_unpromised=True)
        self.connection.execute("BEGIN")
        batch.execute(self.connection)
        self.connection.execute("COMMIT")

    def flush(self) -> None:
        """Write what waits and answer who waited for it."""
        self.write()
        self.settle()

    def settle(self) -> None:
        """Answer whose changes are on disk, or came to nothing."""
        while self.waiting:
            first = self.pending.first
            if first is not None and first <= self.waiting[0][0]:
                return
            self.waiting.pop(0)[1](None)
