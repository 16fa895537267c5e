"""What the core tells of what it refused: to people, and in numbers."""

from dataclasses import dataclass
from typing import Protocol

from gateway.broker.codec.reasons import Reason
from gateway.errors import Rejected
from gateway.model.principal import Principal


class Reporter(Protocol):
    """Tells people what was refused."""

    def rejected(self, principal: Principal, topic: str, refusal: Rejected) -> None:
        """A reading was not stored."""
        ...

    def denied(self, principal: Principal, action: str, topic: str) -> None:
        """A principal tried what its filters do not allow."""
        ...

    def closed(self, principal: Principal, reason: str) -> None:
        """A limit made the broker end a session."""
        ...

    def throttled(self, principal: Principal) -> None:
        """A device sends more than it may: it is read from more slowly."""
        ...

    def refused(self, address: str, reason: Reason) -> None:
        """A CONNECT was refused."""
        ...

    def authenticator_failed(self, error: Exception) -> None:
        """Nobody can be verified."""
        ...


@dataclass(slots=True)
class Tally:
    """What happened since the start, counted where it happens."""

    received: int = 0
    rejected: int = 0
    denied: int = 0
    dropped: int = 0
    throttled: int = 0
    cut_off: int = 0  # clients that did not read, and held up too much or too long
