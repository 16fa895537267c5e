"""A log that outsiders cannot fill: one line per key and minute, with the number of those left out."""

import logging
from collections import OrderedDict
from dataclasses import dataclass

from gateway.clock import Clock

_INTERVAL_NS = 60 * 1_000_000_000
_KEYS_MAX = 4_096


@dataclass(slots=True)
class _LogState:
    logged_at_ns: int
    left_out: int = 0


class SeldomLog:
    """Warnings to one logger."""

    def __init__(self, log: logging.Logger, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._states: OrderedDict[str, _LogState] = OrderedDict()

    def warn(self, key: str, text: str) -> None:
        """Log `key: text`, unless `key` had a line in the last minute."""
        now_ns = self._clock.monotonic_ns()
        state = self._states.get(key)
        if state is not None and now_ns - state.logged_at_ns < _INTERVAL_NS:
            state.left_out += 1
            return
        left_out = f" (and {state.left_out} more since the last such line)" if state else ""
        # Texts hold what came from outside: !r keeps control characters out of the log.
        self._log.warning("%s: %r%s", key, text, left_out)
        self._states[key] = _LogState(now_ns)
        self._states.move_to_end(key)
        if len(self._states) > _KEYS_MAX:
            self._states.popitem(last=False)
