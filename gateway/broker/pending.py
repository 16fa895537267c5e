"""How many readings each connection may have at the sink that are not on disk yet.

All connections share what the sink takes at once: so a flood waits in its sockets, however many
send it, and the sink need not refuse readings for want of room.
"""

from gateway.broker.settings import BrokerSettings


class PendingShare:
    """The limits that hold for each connection now."""

    def __init__(self, limits: BrokerSettings) -> None:
        self._limits = limits
        self._connections = 0
        self.messages_max = limits.pending_messages_max
        self.bytes_max = limits.pending_bytes_max

    def enter(self) -> None:
        """Note one more connection."""
        self._connections += 1
        self._divide()

    def leave(self) -> None:
        """Note one connection less."""
        self._connections -= 1
        self._divide()

    def _divide(self) -> None:
        limits, connections = self._limits, max(1, self._connections)
        messages = limits.pending_total_messages_max // connections
        total_bytes = limits.pending_total_bytes_max // connections
        self.messages_max = min(
            limits.pending_messages_max, max(limits.pending_messages_min, messages)
        )
        self.bytes_max = min(limits.pending_bytes_max, max(limits.pending_bytes_min, total_bytes))
