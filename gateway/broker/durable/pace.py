"""When to commit: soon where somebody waits, seldom where nobody does. Pure.

Rule 1: a commit is written only where somebody waits for it, or `UNPROMISED_WAIT_S` after a change
that nobody waits for.
Rule 2: after a pause awaited commits come at once, `QUICK_COMMITS_MAX` of them; then one every
`COMMIT_WAIT_S`, or as soon as there is much to write: many clients cost few of them, and a flood is
not slowed down.
Rule 3: retained values that were promised to nobody are written every `RETAINED_WAIT_S`.

What a day of this costs an SD card stands in docs/BROKER.md, measured.
"""

from dataclasses import dataclass
from typing import Final

COMMIT_WAIT_S: Final = 0.2  # five a second under load
QUICK_COMMITS_MAX: Final = 50  # a few clients are answered in milliseconds
JOIN_S: Final = 0.002  # for what belongs together; the subscriber has often acknowledged by then
UNPROMISED_WAIT_S: Final = 5.0
RETAINED_WAIT_S: Final = 600.0  # 1,000 devices: some 90 MB a day; once a minute would be 900


@dataclass(frozen=True, slots=True)
class Waits:
    """What there is to write: is a promise waiting for it, is it much, what else is there."""

    is_awaited: bool
    is_large: bool
    has_changes: bool
    has_unpromised: bool


class CommitPace:
    """Remembers since when what waits. Times are seconds of one monotonic clock."""

    def __init__(self, now_s: float) -> None:
        self._quick = float(QUICK_COMMITS_MAX)
        self._taken_at_s = now_s
        self._awaited_at_s: float | None = None
        self._changed_at_s: float | None = None
        self._retained_at_s: float | None = None

    def next_at(self, now_s: float, waits: Waits) -> float | None:
        """Return when to commit, None while there is nothing to write."""
        self._awaited_at_s = _since(self._awaited_at_s, now_s, holds=waits.is_awaited)
        self._changed_at_s = _since(self._changed_at_s, now_s, holds=waits.has_changes)
        self._retained_at_s = _since(self._retained_at_s, now_s, holds=waits.has_unpromised)
        times = []
        if self._awaited_at_s is not None:
            at = self._awaited_at_s + JOIN_S
            is_quick = waits.is_large or self._quick_left(now_s) >= 1
            times.append(at if is_quick else max(at, self._taken_at_s + COMMIT_WAIT_S))
        if self._changed_at_s is not None:
            times.append(self._changed_at_s + UNPROMISED_WAIT_S)
        if self._retained_at_s is not None:
            times.append(self._retained_at_s + RETAINED_WAIT_S)
        return min(times, default=None)

    def is_retained_due(self, now_s: float) -> bool:
        """Tell whether the retained values that were promised to nobody go into this commit."""
        return self._retained_at_s is not None and now_s >= self._retained_at_s + RETAINED_WAIT_S

    def taken(self, now_s: float) -> None:
        """Note that what waited is being written."""
        self._quick = max(self._quick_left(now_s) - 1, 0.0)
        self._taken_at_s = now_s
        self._awaited_at_s = self._changed_at_s = None
        if self.is_retained_due(now_s):
            self._retained_at_s = None

    def _quick_left(self, now_s: float) -> float:
        regained = (now_s - self._taken_at_s) / COMMIT_WAIT_S
        return min(self._quick + regained, float(QUICK_COMMITS_MAX))


def _since(since_s: float | None, now_s: float, *, holds: bool) -> float | None:
    if not holds:
        return None
    return now_s if since_s is None else since_s
