"""The broker's `ExchangeStore`: devices' messages go through their decoders to the readings store."""

from collections.abc import Callable, Collection

from gateway.ports import NotingSink, StoreNote, TelemetrySource
from gateway.readings.exchanges import ExchangeLog, SessionName


class StoredExchanges:
    """Joins the sink of readings with the log of packet ids beside them."""

    def __init__(self, sink: NotingSink, log: ExchangeLog) -> None:
        self._sink = sink
        self._log = log

    def load(self, sessions: Collection[SessionName]) -> dict[SessionName, frozenset[int]]:
        """Return the packet ids of these sessions, and forget all others; raises `StoreError`."""
        return self._log.load(sessions)

    def accept_once(
        self, source: TelemetrySource, device: str, topic: str, payload: bytes, note: StoreNote
    ) -> None:
        """Take a reading; `note` is called if there is one to store."""
        self._sink.accept_once(source, device, topic, payload, note)

    def note(self, session: SessionName, packet_id: int) -> None:
        """Put a packet id into the commit of the reading that is taken now."""
        self._log.note(session, packet_id)

    def forget(self, session: SessionName, packet_id: int, done: Callable[[], None]) -> None:
        """Remove a packet id."""
        self._log.forget(session, packet_id, done)

    def forget_session(self, session: SessionName, done: Callable[[], None]) -> None:
        """Remove all packet ids of a session."""
        self._log.forget_session(session, done)
