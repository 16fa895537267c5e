"""Own transactions on their way into a block: kept to be said again until each is proven final, or void.

Pure. What is lost with the process is submitted again by whoever keeps it on disk.
"""

from collections import OrderedDict

from ledger.errors import Reason, Rejected
from ledger.state.context import CheckedTransaction

WAITING_MAX = 256  # four times what the gateway lets wait


class PendingPool:
    """Transactions by id, the oldest first."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[bytes, CheckedTransaction] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, transaction_id: bytes) -> bool:
        return transaction_id in self._waiting

    def check_room(self) -> Rejected | None:
        """Tell whether another one may wait."""
        if len(self._waiting) < WAITING_MAX:
            return None
        return Rejected(Reason.FULL, f"{WAITING_MAX} transactions wait for a block")

    def add(self, checked: CheckedTransaction) -> None:
        """Keep a transaction."""
        self._waiting[checked.id] = checked

    def remove(self, transaction_id: bytes) -> CheckedTransaction | None:
        """Forget a transaction that is final; return it where it waited here."""
        return self._waiting.pop(transaction_id, None)

    def ids(self) -> tuple[bytes, ...]:
        """Return the ids of what waits."""
        return tuple(self._waiting)

    def oldest(self, count: int) -> tuple[bytes, ...]:
        """Return signed transactions that wait, at most so many."""
        return tuple(checked.raw for checked in list(self._waiting.values())[:count])

    def next_nonce(self, sender: bytes, nonce: int) -> int:
        """Return the sender's next nonce behind what waits, given the one on the chain."""
        taken = {
            checked.transaction.nonce
            for checked in self._waiting.values()
            if checked.transaction.sender == sender
        }
        while nonce in taken:
            nonce += 1
        return nonce

    def drop_used(self, sender: bytes, nonce: int) -> None:
        """Forget what a sender's final transaction with this nonce leaves no room for."""
        for id_, checked in list(self._waiting.items()):
            waiting = checked.transaction
            if waiting.sender == sender and waiting.nonce <= nonce:
                del self._waiting[id_]

    def drop_expired(self, height: int) -> None:
        """Forget what can be in no block above `height`."""
        for id_, checked in list(self._waiting.items()):
            if checked.transaction.expiry_height <= height:
                del self._waiting[id_]
