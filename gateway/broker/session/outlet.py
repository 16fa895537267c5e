"""What a session asks of its connection."""

from typing import Protocol

from gateway.broker.changes import Delivery
from gateway.broker.codec.reasons import Reason


class Outlet(Protocol):
    """The connection of a session, as the session sees it."""

    def room(self) -> int:
        """Return how many bytes the peer takes now; when there is none, `pump` follows."""
        ...

    def send_publish(self, delivery: Delivery, now_ms: int, *, is_dup: bool) -> bool:
        """Send a message; False when the client takes none as long."""
        ...

    def send_receipt(self, packet_id: int) -> None:
        """Send PUBREC in its turn, once all that was recorded is on disk."""
        ...

    def send_release(self, packet_id: int, *, is_known: bool) -> None:
        """Send PUBREL."""
        ...

    def send_complete(self, packet_id: int, *, is_known: bool) -> None:
        """Send PUBCOMP in its turn, once all that was recorded is on disk."""
        ...

    def close(self, text: str, reason: Reason) -> None:
        """Detach the session and close the connection, at once."""
        ...
