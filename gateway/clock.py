"""The one place that reads the machine's clocks.

`SystemClock` is real time. `ScaledClock` runs faster for demonstrations and tests; readings taken
with it are marked as simulated, so no bill for real use can be made from them by mistake.
"""

import ctypes
import time
from typing import Protocol

from ledger.types.reading import ClockStatus

_STA_UNSYNC = 0x0040  # adjtimex(2): the kernel clock is not synchronised
_TIME_ERROR = 5
STATUS_CACHE_NS = 1_000_000_000  # discipline changes within minutes; readings come by the thousand


class Clock(Protocol):
    """Wall time for what is recorded, monotonic time for what is awaited."""

    def now_ms(self) -> int:
        """Return Unix time in milliseconds."""
        ...

    def monotonic_ns(self) -> int:
        """Return monotonic nanoseconds."""
        ...

    def status(self) -> ClockStatus:
        """Tell how far wall time can be trusted."""
        ...

    def is_synchronised(self) -> bool:
        """Tell whether blocks may be proposed with this clock."""
        ...


class _Timex(ctypes.Structure):
    """The head of struct timex (adjtimex(2)); the rest is room the kernel may write."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_long * 32),
    )


def is_kernel_clock_synchronised() -> bool:
    """Ask the kernel whether NTP or another source disciplines the clock (adjtimex, read-only)."""
    timex = _Timex()
    result: int = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    return result not in (-1, _TIME_ERROR) and not timex.status & _STA_UNSYNC


class SystemClock:
    """The machine's own clocks. The kernel is asked about its discipline once a second."""

    def __init__(self) -> None:
        self._checked_ns = -STATUS_CACHE_NS
        self._is_synchronised = False

    def now_ms(self) -> int:
        """Return Unix time in milliseconds."""
        return time.time_ns() // 1_000_000

    def monotonic_ns(self) -> int:
        """Return monotonic nanoseconds."""
        return time.monotonic_ns()

    def status(self) -> ClockStatus:
        """Tell whether the kernel's clock is disciplined."""
        if self.is_synchronised():
            return ClockStatus.SYNCHRONISED
        return ClockStatus.UNSYNCHRONISED

    def is_synchronised(self) -> bool:
        """Tell whether the kernel's clock is disciplined."""
        now_ns = time.monotonic_ns()
        if now_ns - self._checked_ns >= STATUS_CACHE_NS:
            self._checked_ns = now_ns
            self._is_synchronised = is_kernel_clock_synchronised()
        return self._is_synchronised


class ScaledClock:
    """Wall time that starts at `start_ms` and runs `factor` times as fast; monotonic time is real."""

    def __init__(self, start_ms: int, factor: int, origin_ms: int) -> None:
        self._start_ms = start_ms
        self._factor = factor
        self._origin_ms = origin_ms

    def now_ms(self) -> int:
        """Return simulated Unix time in milliseconds."""
        return self._start_ms + (time.time_ns() // 1_000_000 - self._origin_ms) * self._factor

    def monotonic_ns(self) -> int:
        """Return real monotonic nanoseconds."""
        return time.monotonic_ns()

    def status(self) -> ClockStatus:
        """Simulated, always."""
        return ClockStatus.SIMULATED

    def is_synchronised(self) -> bool:
        """Simulated time needs no time source."""
        return True
