"""`smartshare` on a clock that a test can set ahead: the machine's time and as much more as a file says.

The clock counts as synchronised, whatever the machine's own does, so that blocks follow it:
`python -m tests.support.own_clock FILE COMMAND...`. Monotonic time is the machine's.
"""

import mmap
import struct
import sys
import time
from pathlib import Path

from gateway.cli.main import main
from gateway.clock import SystemClock

_AHEAD = struct.Struct("<q")  # milliseconds


class OwnClock:
    """The file: every process that follows it sees at once what is written into it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            path.write_bytes(_AHEAD.pack(0))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _AHEAD.size)

    def now_ms(self) -> int:
        """Return Unix time in milliseconds."""
        (ahead_ms,) = _AHEAD.unpack(self._memory[:])
        return time.time_ns() // 1_000_000 + int(ahead_ms)

    def set_ahead(self, ahead_ms: int) -> None:
        """Let everybody's clock be so far ahead of the machine's."""
        self._memory[:] = _AHEAD.pack(ahead_ms)


if __name__ == "__main__":
    clock = OwnClock(Path(sys.argv[1]))
    SystemClock.now_ms = lambda _self: clock.now_ms()  # type: ignore[method-assign,assignment]
    SystemClock.is_synchronised = lambda _self: True  # type: ignore[method-assign,assignment]
    sys.exit(main(sys.argv[2:]))
