"""Transactions that could not be run lately: they are refused for a while, so they cannot return at once.

Each costs this node a worker's time and its sender nothing. Only this node remembers: the chain's
rules do not know of it.
"""

from ledger.errors import Reason, Rejected

REFUSED_BLOCKS = 100  # five minutes of 3 s blocks: a worker that failed by bad luck gets its chance
REMEMBERED_MAX = 1_000  # far more than can fail in that many blocks; the oldest makes room


class FailedTransactions:
    """Ids and heights of what failed. One caller at a time."""

    def __init__(self) -> None:
        self._failed: dict[bytes, tuple[int, str]] = {}

    def remember(self, transaction_id: bytes, height: int, detail: str) -> None:
        """Note that a transaction could not be run in the block at `height`."""
        self._failed.pop(transaction_id, None)
        if len(self._failed) >= REMEMBERED_MAX:
            del self._failed[next(iter(self._failed))]
        self._failed[transaction_id] = (height, detail)

    def check(self, transaction_id: bytes, height: int) -> Rejected | None:
        """Tell why a transaction may not wait for the block at `height`; None: it may."""
        known = self._failed.get(transaction_id)
        if known is None:
            return None
        failed_at, detail = known
        again_at = failed_at + REFUSED_BLOCKS
        if height >= again_at:
            del self._failed[transaction_id]
            return None
        return Rejected(
            Reason.NOT_RUN,
            f"it could not be run at height {failed_at} ({detail}): correct it, or send it again from"
            f" height {again_at} on",
        )
