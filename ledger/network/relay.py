"""Passing transactions on: each once, in messages of bounded size, and those still waiting again.

A node sends on what its own mempool took, so what no mempool takes travels one step at most.
"""

from collections import deque
from collections.abc import Iterable, Iterator

from ledger.network.wire import TRANSACTIONS_IN_MESSAGE_MAX, Transactions

MESSAGE_BYTES_MAX = 256 * 1024
QUEUE_MAX = 4_096  # transactions between two flushes; later ones go out when they are repeated
REPEAT_MS = 10_000  # what still waits is said again: a peer may have been away


class TransactionRelay:
    """Collects what is new and gives it out in messages."""

    def __init__(self) -> None:
        self._queue: deque[bytes] = deque()
        self._repeat_at_ms = 0

    def add(self, raw: bytes) -> None:
        """Queue a transaction that the mempool took."""
        if len(self._queue) < QUEUE_MAX:
            self._queue.append(raw)

    def flush(self) -> tuple[Transactions, ...]:
        """Return what was queued, as messages."""
        queued = tuple(self._queue)
        self._queue.clear()
        return tuple(pack(queued))

    def is_repeat_due(self, now_ms: int) -> bool:
        """Tell, once each `REPEAT_MS`, that what waits in the mempool should be said again."""
        if now_ms < self._repeat_at_ms:
            return False
        self._repeat_at_ms = now_ms + REPEAT_MS
        return True


def pack(transactions: Iterable[bytes]) -> Iterator[Transactions]:
    """Yield messages that hold all of them, in order."""
    batch: list[bytes] = []
    size = 0
    for raw in transactions:
        is_full = len(batch) >= TRANSACTIONS_IN_MESSAGE_MAX or size + len(raw) > MESSAGE_BYTES_MAX
        if batch and is_full:
            yield Transactions(tuple(batch))
            batch, size = [], 0
        batch.append(raw)
        size += len(raw)
    if batch:
        yield Transactions(tuple(batch))
