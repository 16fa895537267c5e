"""The broker's side of the journal: counts what is recorded, so that only that waits for a commit."""

from collections.abc import Callable

from gateway.broker.changes import Change
from gateway.broker.ports import SessionJournal


class Recorder:
    """Hands changes to the journal."""

    __slots__ = ("_journal", "count", "is_durable")

    def __init__(self, journal: SessionJournal) -> None:
        self._journal = journal
        self.is_durable = journal.is_durable
        self.count = 0

    def record(self, change: Change) -> None:
        """Record a change."""
        self.count += 1
        self._journal.record(change)

    def after_commit(self, done: Callable[[str | None], None]) -> None:
        """Call `done` when all that was recorded is on disk, with None, or why it is not."""
        self._journal.commit(done)
