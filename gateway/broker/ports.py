"""The seam between the broker's protocol and what makes it outlive the process.

    load                          once, before the broker listens
    record(change)                for each change of a kept session or retained message, in order
    commit(done)                  done(None) once all that was recorded before is on disk

How the broker uses it:

- Changes are recorded in the turn of the event loop in which they happen. Nothing is awaited.
- What promises something to a peer waits for a commit: PUBACK, PUBREC and PUBCOMP to a publisher,
  PUBREL to a subscriber, SUBACK and UNSUBACK, and the first PUBLISH of QoS 2 to a subscriber. All
  else is recorded and needs no commit of its own: a PUBACK that came from a subscriber may be
  forgotten in a crash, the message is then sent again.
- A key may end and be kept again within one commit: CleanSession discards the session before.
- `commit` is called often, for single packets: the journal joins the calls to few writes to disk,
  and answers them in the order in which they came.
- A message that went to no kept session and is not retained is never recorded and waits for
  nothing; neither does anything of a session that is not kept. Telemetry waits for its own store.
- What is recorded in one turn of the event loop comes to the disk in one commit: the deliveries of a
  QoS 2 message and its packet id are never apart, or a crash between them would make it two.
  Those of a QoS 2 reading are recorded when the store has it, see `exchanges`.
- Record order is commit order: where a later change is on disk, all earlier ones are.
"""

from collections.abc import Callable, Collection
from typing import Protocol, TypeAlias

from gateway.broker.changes import Change, SessionKey, StoredState

CommitDone: TypeAlias = Callable[[str | None], None]
"""Gets None after the commit, or in a few words why it failed: then nothing is acknowledged."""


class SessionJournal(Protocol):
    """Keeps sessions and retained messages. All methods are for the event loop's thread."""

    @property
    def is_durable(self) -> bool:
        """Whether anything is kept; if not, the broker records nothing."""
        ...

    def load(self) -> StoredState:
        """Return what is on disk. Raises `BrokerError` with what to do."""
        ...

    def record(self, change: Change) -> None:
        """Take a change; it is on disk after the next `commit` that ends well."""
        ...

    def commit(self, done: CommitDone) -> None:
        """Call `done` once everything recorded so far is on disk: at once if it is already."""
        ...


class ExchangeStore(Protocol):
    """The readings store, as far as it tells new QoS 2 messages from those that come again.

    Packet ids of kept sessions are noted in the commit of their readings. For the event loop's thread.
    """

    def load(self, sessions: Collection[SessionKey]) -> dict[SessionKey, frozenset[int]]:
        """Return the packet ids of these sessions, and forget all others. Raises `StoreError`."""
        ...

    def note(self, session: SessionKey, packet_id: int) -> None:
        """Put a packet id into the commit of the reading that is taken now; called by `note`s."""
        ...

    def forget(self, session: SessionKey, packet_id: int, done: Callable[[], None]) -> None:
        """Remove a packet id; `done` is called after the commit, never if it fails."""
        ...

    def forget_session(self, session: SessionKey, done: Callable[[], None]) -> None:
        """Remove all packet ids of a session, in the same way."""
        ...


class VolatileJournal:
    """The journal of a broker that keeps nothing: what it promises holds while the process runs."""

    is_durable = False

    def load(self) -> StoredState:
        """Return nothing."""
        return StoredState()

    def record(self, change: Change) -> None:
        """Forget the change."""

    def commit(self, done: CommitDone) -> None:
        """There is nothing to wait for."""
        done(None)
