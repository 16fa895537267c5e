"""The order in which agents lead: one permutation a lap, the same on every node.

Every agent leads exactly once in a lap whatever the seed is, so grinding the seed buys no slot.
"""

import hashlib
import struct

_ORDER_PREFIX = b"ssp/order/1"


def compute_order(seed: bytes, epoch: int, lap: int, count: int) -> tuple[int, ...]:
    """Return the seats 0..count-1 in the order of this lap (Fisher-Yates, rejection sampling)."""
    stream = _Stream(_ORDER_PREFIX + seed + struct.pack(">QQ", epoch, lap))
    order = list(range(count))
    for last in range(count - 1, 0, -1):
        chosen = stream.below(last + 1)
        order[last], order[chosen] = order[chosen], order[last]
    return tuple(order)


class _Stream:
    """Uniform numbers from a hash in counter mode."""

    def __init__(self, seed: bytes) -> None:
        self._key = hashlib.sha256(seed).digest()
        self._counter = 0
        self._pending = b""

    def below(self, bound: int) -> int:
        """Return a number from 0 to bound - 1; draws in the uneven rest are thrown away."""
        limit = (1 << 32) - (1 << 32) % bound
        while True:
            drawn = self._draw()
            if drawn < limit:
                return drawn % bound

    def _draw(self) -> int:
        if not self._pending:
            counted = self._key + struct.pack(">Q", self._counter)
            self._pending = hashlib.sha256(counted).digest()
            self._counter += 1
        word, self._pending = self._pending[:4], self._pending[4:]
        return int.from_bytes(word, "big")
