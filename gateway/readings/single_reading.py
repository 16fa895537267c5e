"""One observation as a source of its own: its answer is the reading that it became."""

from gateway.errors import Rejected
from gateway.model.observation import StoredReading
from gateway.ports import StoreDone


class SingleReading:
    """The source of one observation."""

    __slots__ = ("_done", "_stored")

    def __init__(self, stored: StoredReading, done: StoreDone) -> None:
        self._stored = stored
        self._done = done

    def settled(self, count: int) -> None:
        """Tell that it is stored."""
        assert count == 1
        self._done(self._stored)

    def refused(self, refusal: Rejected) -> None:
        """Tell why it is not."""
        self._done(refusal)
