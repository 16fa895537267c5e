"""A peer's standing: faults cost points that fade; whoever has too many is banned for a while.

Each ban in a row is twice as long as the one before, up to an hour, so that a broken peer costs less
and less, and one that was mended is back by itself.
"""

import enum
from dataclasses import dataclass

STANDING_MAX = 100  # points at which a peer is banned
POINTS_FADE_PER_S = 2  # a peer that errs now and then never collects enough
BAN_FIRST_MS = 10_000
BAN_MAX_MS = 3_600_000
FORGIVEN_AFTER_MS = 2 * BAN_MAX_MS  # without a fault: the next ban is a first one again


class Fault(enum.Enum):
    """What a peer did, and the points it costs."""

    OVER_BUDGET = 1
    UNWANTED = 5  # a kind of message that is not for this topic or not from this node
    MALFORMED = 25  # not canonical, too large, unknown: no honest node sends such bytes
    FORGED = 34  # a signature that is not genuine


@dataclass(slots=True)
class Standing:
    """The points of one peer; ask `is_banned` before it is listened to or dialled."""

    points_milli: int = 0
    at_ms: int = 0
    bans: int = 0
    banned_until_ms: int = 0

    def note(self, fault: Fault, now_ms: int) -> bool:
        """Count a fault; tell whether it led to a ban."""
        if now_ms - self.at_ms > FORGIVEN_AFTER_MS:
            self.bans = 0
        faded = max(0, now_ms - self.at_ms) * POINTS_FADE_PER_S
        self.points_milli = max(0, self.points_milli - faded) + fault.value * 1_000
        self.at_ms = now_ms
        if self.points_milli < STANDING_MAX * 1_000:
            return False
        self.points_milli = 0
        self.banned_until_ms = now_ms + min(BAN_FIRST_MS << min(self.bans, 20), BAN_MAX_MS)
        self.bans += 1
        return True

    def is_banned(self, now_ms: int) -> bool:
        """Tell whether the peer must wait."""
        return now_ms < self.banned_until_ms
