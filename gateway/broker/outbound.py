"""What all sessions together hold for their clients: one budget, so no many can do what one cannot."""


class OutboundBudget:
    """Bytes held by sessions, of at most `bytes_max`; sessions `hold` and give back."""

    __slots__ = ("bytes_max", "held_bytes")

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.held_bytes = 0

    def hold(self, size: int) -> None:
        """Count bytes that a session holds from now on; negative for those it gives back."""
        self.held_bytes += size

    def has_room(self, size: int = 0) -> bool:
        """Tell whether `size` more bytes stay within the budget."""
        return self.held_bytes + size <= self.bytes_max
