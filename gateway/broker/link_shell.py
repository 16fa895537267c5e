"""What a link asks of its connection."""

from typing import Protocol

from gateway.broker.codec.packets import Connect


class LinkShell(Protocol):
    """What a link asks of its connection."""

    def send(self, data: bytes) -> None:
        """Queue bytes for the peer; what a closed connection is given is dropped."""
        ...

    def send_now(self, data: bytes) -> None:
        """Send bytes behind what is queued, and do not wait for the end of the turn."""
        ...

    def room(self) -> int:
        """Return how many bytes the peer takes now; when there is none, `ClientLink.pump` follows."""
        ...

    def close(self, text: str) -> None:
        """Call `ClientLink.closed`, and close the connection once the last bytes have left."""
        ...

    def hold(self) -> None:
        """Read no more from the peer."""
        ...

    def release(self) -> None:
        """Call `ClientLink.resume` soon, then read on."""
        ...

    def authenticate(self, connect: Connect) -> None:
        """Find out who this is, then call `ClientLink.admit` or `ClientLink.refuse`."""
        ...
