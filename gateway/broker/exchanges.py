"""QoS 2 messages from clients of kept sessions: where each is on disk, and when a packet id is free.

A reading is in the readings store, in one commit with its packet id, before anybody else gets it. What
else became of a message is in the journal, again in one commit with its packet id. So whatever a crash
takes, the client's repeat finds each step done or not done, and PUBCOMP leaves when both have
forgotten the packet id.

    PUBLISH ── reading and packet id in the store ── routed, packet id in the journal ── PUBREC
    PUBREL ── packet id out of the store ── packet id out of the journal ── PUBCOMP

The journal is left out where nobody is given the message, as with most readings.

A session that ends leaves packet ids behind until the next commits. A client that comes under its name
meanwhile is answered after them: else a crash could bring the old session back, and its packet ids
would pass for those of new messages.
"""

from collections.abc import Callable, Collection
from functools import partial

from gateway.broker.changes import SessionKey
from gateway.broker.ports import CommitDone, ExchangeStore
from gateway.broker.recorder import Recorder


class Exchanges:
    """The two places together. Without a `store`, readings' packet ids are in the journal alone."""

    def __init__(self, recorder: Recorder, store: ExchangeStore | None) -> None:
        self._recorder = recorder
        self._store = store
        self._ending: dict[SessionKey, int] = {}  # how many sessions of a name are not gone yet
        self._waiting: dict[SessionKey, list[CommitDone]] = {}

    def load(self, sessions: Collection[SessionKey]) -> dict[SessionKey, frozenset[int]]:
        """Return the packet ids that the store has of these sessions; it forgets all others."""
        return self._store.load(sessions) if self._store is not None else {}

    @property
    def has_store(self) -> bool:
        """Whether readings are to be noted."""
        return self._store is not None

    def note(self, session: SessionKey, packet_id: int) -> None:
        """Put a packet id into the commit of the reading that the store takes now."""
        if self._store is not None:
            self._store.note(session, packet_id)

    def forget(self, session: SessionKey, packet_id: int, done: Callable[[], None]) -> None:
        """Take a packet id out of the store; `done` follows when that is on disk."""
        assert self._store is not None, "it noted nothing"
        self._store.forget(session, packet_id, done)

    def end(self, session: SessionKey, *, is_in_store: bool) -> None:
        """Forget a session that was just recorded as ended, and was left with packet ids."""
        self._ending[session] = self._ending.get(session, 0) + 1
        await_journal = partial(self._recorder.after_commit, partial(self._gone, session))
        if is_in_store and self._store is not None:
            self._store.forget_session(session, await_journal)
        else:
            await_journal()

    def after_begin(self, session: SessionKey, done: CommitDone, *, is_kept: bool) -> None:
        """Call `done` when a new session is on disk, if it is kept, and none before it is."""
        if is_kept:
            done = partial(self._after_commit, done)
        if session in self._ending:
            self._waiting.setdefault(session, []).append(done)
        else:
            done(None)

    def _after_commit(self, done: CommitDone, failure: str | None) -> None:
        if failure is None:
            self._recorder.after_commit(done)
        else:
            done(failure)

    def _gone(self, session: SessionKey, failure: str | None) -> None:
        self._ending[session] -= 1
        if not self._ending[session]:
            del self._ending[session]
            for done in self._waiting.pop(session, ()):
                done(failure)
