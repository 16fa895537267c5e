"""Whether a running node is further behind than its peers keep blocks. Pure.

Rule 1: one peer's word is enough to look for a snapshot, because it is checked and harms nobody; but time must
pass without a block, in which every connected peer was asked for the next one.
Rule 2: a block that comes from anybody ends it: blocks are better than a snapshot.
"""

STALL_S = 120.0  # several times what 32 peers take that are asked in turn, a retry interval each
STALL_HEARTBEATS = 3  # an idle chain is no lost one
CLAIMS_MAX = 256  # peers whose word is remembered


class Lag:
    """What is known of this node's place. Times are seconds of a clock that never goes back."""

    def __init__(self, heartbeat_ms: int) -> None:
        """`heartbeat_ms` is the longest interval of blocks while the chain has no work."""
        self._stall_s = max(STALL_S, STALL_HEARTBEATS * heartbeat_ms / 1_000)
        self._height: int | None = None
        self._since_s = 0.0
        self._pruned: dict[bytes, int] = {}

    def note_height(self, height: int, now_s: float) -> None:
        """Take note of the newest final block here."""
        if height != self._height:
            self._height, self._since_s = height, now_s
            self._pruned = {p: pruned for p, pruned in self._pruned.items() if pruned > height}

    def note_pruned(self, peer: bytes, height: int) -> None:
        """Take note that a peer no longer keeps the blocks up to a height."""
        known = self._height is not None and height > self._height
        if known and (peer in self._pruned or len(self._pruned) < CLAIMS_MAX):
            self._pruned[peer] = height

    def is_lost(self, now_s: float) -> bool:
        """Tell whether the blocks that come next are not to be had."""
        return bool(self._pruned) and now_s - self._since_s >= self._stall_s
