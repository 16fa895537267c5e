"""How often somebody may do something: token buckets, one a name. Pure.

A bucket holds `burst` tokens and regains `per_s` of them a second. It may go into debt: what was done
already is paid for by waiting.
"""

from collections import OrderedDict
from dataclasses import dataclass

from gateway.broker.settings import BrokerSettings
from gateway.model.principal import Principal, PrincipalKind

_NS_PER_S = 1_000_000_000
_UNCOUNTED_SHARE = 100  # of a burst: counting each single message costs as much as parsing it
_SLOWED_NS = 60 * _NS_PER_S  # so long a device counts as slowed down
_NAMES_MAX = 4_096  # beyond, the longest unused is forgotten: it has regained its tokens


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at_ns: int


class RateLimits:
    """Name -> bucket. A rate of 0 sets no limit."""

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, name: str, count: int, now_ns: int) -> bool:
        """Take tokens if there are as many; tell whether there were."""
        if not self._per_s:
            return True
        bucket = self._bucket(name, now_ns)
        if bucket.tokens < count:
            return False
        bucket.tokens -= count
        return True

    def spend(self, name: str, count: int, now_ns: int) -> float:
        """Take tokens in any case; return for how many seconds to wait until none is owed."""
        if not self._per_s:
            return 0.0
        bucket = self._bucket(name, now_ns)
        bucket.tokens -= count
        return max(0.0, -bucket.tokens / self._per_s)

    def _bucket(self, name: str, now_ns: int) -> _Bucket:
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = _Bucket(self._burst, now_ns)
            if len(self._buckets) > _NAMES_MAX:
                self._buckets.popitem(last=False)
            return bucket
        regained = (now_ns - bucket.at_ns) / _NS_PER_S * self._per_s
        bucket.tokens = min(self._burst, bucket.tokens + regained)
        bucket.at_ns = now_ns
        self._buckets.move_to_end(name)
        return bucket


class DeviceRates:
    """What one device may do, over all its connections. Services and users are not limited."""

    def __init__(self, limits: BrokerSettings) -> None:
        self._connects = RateLimits(
            limits.connects_per_s_per_device, limits.connects_burst_per_device
        )
        self._messages = RateLimits(
            limits.messages_per_s_per_device, limits.messages_burst_per_device
        )
        self._bytes = RateLimits(limits.bytes_per_s_per_device, limits.bytes_burst_per_device)
        self._slowed: OrderedDict[str, int] = OrderedDict()  # device -> when, the newest last
        # A connection may collect less than these before it counts them by `spend`.
        self.uncounted_messages_max = max(1, limits.messages_burst_per_device // _UNCOUNTED_SHARE)
        self.uncounted_bytes_max = max(1, limits.bytes_burst_per_device // _UNCOUNTED_SHARE)

    def may_connect(self, principal: Principal, now_ns: int) -> bool:
        """Count a connection of an authenticated peer; tell whether it may stay."""
        if principal.kind is not PrincipalKind.DEVICE:
            return True
        return self._connects.take(principal.name, 1, now_ns)

    def spend(self, device: str, messages: int, size: int, now_ns: int) -> float:
        """Count what a device sent; return for how many seconds not to read from it."""
        wait_s = max(
            self._messages.spend(device, messages, now_ns),
            self._bytes.spend(device, size, now_ns),
        )
        if wait_s > 0:
            self._slowed[device] = now_ns
            self._slowed.move_to_end(device)
            if len(self._slowed) > _NAMES_MAX:
                self._slowed.popitem(last=False)
        return wait_s

    def slowed(self, now_ns: int) -> tuple[str, ...]:
        """Return the devices that were slowed down in the last minute, the first of them first."""
        slowed = self._slowed
        while slowed and next(iter(slowed.values())) < now_ns - _SLOWED_NS:
            slowed.popitem(last=False)
        return tuple(slowed)
