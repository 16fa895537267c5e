"""How often something may happen: one each interval, and a few at once. Pure: time is an argument."""


class RateLimit:
    """Admits `burst` events at once and one an interval in the long run (generic cell rate algorithm)."""

    def __init__(self, *, interval_ns: int, burst: int) -> None:
        self._interval_ns = interval_ns
        self._ahead_ns_max = interval_ns * burst
        self._due_ns = 0  # when everything admitted so far would have happened at the steady rate

    def admit(self, now_ns: int) -> bool:
        """Count one event and return True, or return False and count nothing."""
        due_ns = max(self._due_ns, now_ns) + self._interval_ns
        if due_ns - now_ns > self._ahead_ns_max:
            return False
        self._due_ns = due_ns
        return True
