"""Virtual time: a queue of what happens when. No run waits for anything."""

import heapq
from collections.abc import Callable


class Clockwork:
    """Events in the order of time, and of scheduling within a millisecond."""

    def __init__(self) -> None:
        self.now_ms = 0
        self._sequence = 0
        self._queue: list[tuple[int, int, Callable[..., None], tuple[object, ...]]] = []

    def at(self, time_ms: int, action: Callable[..., None], *arguments: object) -> None:
        """Call `action(*arguments)` when the time has come; the past is now."""
        self._sequence += 1
        entry = (max(time_ms, self.now_ms), self._sequence, action, arguments)
        heapq.heappush(self._queue, entry)

    def run_until(self, end_ms: int) -> None:
        """Let everything happen up to and at `end_ms`."""
        queue = self._queue
        while queue and queue[0][0] <= end_ms:
            self.now_ms, _, action, arguments = heapq.heappop(queue)
            action(*arguments)
        self.now_ms = max(self.now_ms, end_ms)
