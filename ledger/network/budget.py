"""How much a peer may send: token buckets, and different votes and proposals by slot.

Time is an argument. What is over a budget is dropped; the peer's standing pays for it.
"""

from collections import OrderedDict
from collections.abc import Hashable


class TokenBucket:
    """`rate` tokens a second, at most `burst` saved up."""

    def __init__(self, rate: int, burst: int, now_ms: int) -> None:
        self._rate = rate
        self._burst_milli = burst * 1_000
        self._milli = self._burst_milli
        self._at_ms = now_ms

    def take(self, count: int, now_ms: int) -> bool:
        """Take `count` tokens if they are there."""
        elapsed_ms = max(0, now_ms - self._at_ms)
        self._at_ms = max(self._at_ms, now_ms)
        self._milli = min(self._burst_milli, self._milli + elapsed_ms * self._rate)
        if self._milli < count * 1_000:
            return False
        self._milli -= count * 1_000
        return True


class DistinctByKey:
    """How many different digests came under each of the newest `keys_max` keys: the same one again is free."""

    def __init__(self, distinct_max: int, keys_max: int) -> None:
        self._distinct_max = distinct_max
        self._keys_max = keys_max
        self._digests: OrderedDict[Hashable, tuple[bytes, ...]] = OrderedDict()

    def take(self, key: Hashable, digest: bytes) -> bool:
        """Note a digest under `key`; False when it would be one too many."""
        digests = self._digests.get(key, ())
        if digest in digests:
            return True
        if len(digests) >= self._distinct_max:
            return False
        self._digests[key] = (*digests, digest)
        self._digests.move_to_end(key)
        if len(self._digests) > self._keys_max:
            self._digests.popitem(last=False)
        return True


class RecentDigests:
    """What was seen within the last `window_ms`; at most `size` digests are remembered.

    The window is shorter than the time after which an honest node says something again, because what
    came too early to be of use the first time must get through the second time.
    """

    def __init__(self, window_ms: int, size: int) -> None:
        self._window_ms = window_ms
        self._size = size
        self._seen_ms: OrderedDict[bytes, int] = OrderedDict()

    def is_new(self, digest: bytes, now_ms: int) -> bool:
        """Remember a digest; tell whether it was not seen within the window."""
        seen_ms = self._seen_ms.get(digest)
        if seen_ms is not None and now_ms - seen_ms < self._window_ms:
            return False
        self._seen_ms[digest] = now_ms
        self._seen_ms.move_to_end(digest)
        if len(self._seen_ms) > self._size:
            self._seen_ms.popitem(last=False)
        return True
