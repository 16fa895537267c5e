"""The transactions that wait and the indexes over them, kept in step by two methods.

Rule 1: `insert` and `discard` are the only places where anything changes.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

from ledger.state.fees import compute_fee_payable
from ledger.state.transition import CheckedTransaction
from ledger.types.transaction import ReportEvidence

_RATE_UNIT = 1_000_000  # fee rates are integers: millionths of a base unit a byte


@dataclass(frozen=True, slots=True)
class Entry:
    """A waiting transaction; `fee_rate` is what a proposer earns by it, per byte."""

    checked: CheckedTransaction
    fee_rate: int

    @property
    def sender(self) -> bytes:
        """The sender's address."""
        return self.checked.transaction.sender

    @property
    def nonce(self) -> int:
        """The sender's nonce."""
        return self.checked.transaction.nonce

    @property
    def accused(self) -> bytes | None:
        """The agent that an accusation accuses; None for every other transaction."""
        body = self.checked.transaction.body
        return body.agent if isinstance(body, ReportEvidence) else None


def build_entry(checked: CheckedTransaction) -> Entry:
    """Return the entry of a transaction."""
    return Entry(checked, compute_fee_payable(checked) * _RATE_UNIT // checked.size)


class Waiting:
    """Entries by id, by sender and nonce, and by fee rate, accusations by agent; sums of bytes and fees."""

    def __init__(self) -> None:
        self._by_id: dict[bytes, Entry] = {}
        self._by_sender: dict[bytes, dict[int, Entry]] = {}
        # A heap of fee rate, id and number; one whose number is not the live entry's is skipped.
        self._cheapest: list[tuple[int, bytes, int]] = []
        self._numbers: dict[bytes, int] = {}  # of each insertion: an id may leave and come again
        self._inserted_count = 0
        self._offered_by: dict[bytes, int] = {}
        self.size_bytes = 0
        self.accusations: dict[
            bytes, Entry
        ] = {}  # by agent, in the order in which they came; read only
        self.accusations_bytes = 0

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._by_id.values()))

    def get(self, transaction_id: bytes) -> Entry | None:
        """Return the waiting entry with this id."""
        return self._by_id.get(transaction_id)

    def queue(self, sender: bytes) -> dict[int, Entry]:
        """Return a sender's entries by nonce; to be read only."""
        return self._by_sender.get(sender, {})

    def senders(self) -> Iterator[bytes]:
        """Return every address that has sent something that waits."""
        return iter(self._by_sender)

    def last_accusation(self, sender: bytes) -> int:
        """Return the highest nonce of an accusation that a sender has waiting; -1: of none."""
        nonces = [one.nonce for one in self.accusations.values() if one.sender == sender]
        return max(nonces, default=-1)

    def fees_offered_by(self, payer: bytes) -> int:
        """Return the sum of the fees that this payer offers for everything that waits."""
        return self._offered_by.get(payer, 0)

    def insert(self, entry: Entry) -> None:
        """Add an entry whose id, and whose nonce of its sender, is not there yet."""
        queue = self._by_sender.setdefault(entry.sender, {})
        assert entry.checked.id not in self._by_id, "a transaction waits once"
        assert entry.nonce not in queue, "one transaction for each nonce"
        if entry.accused is not None:
            assert entry.accused not in self.accusations, "one accusation of an agent"
            self.accusations[entry.accused] = entry
            self.accusations_bytes += entry.checked.size
        self._by_id[entry.checked.id] = entry
        queue[entry.nonce] = entry
        self._inserted_count += 1
        self._numbers[entry.checked.id] = self._inserted_count
        self.push_back(entry)
        payer = entry.checked.transaction.fee_payer
        self._offered_by[payer] = self.fees_offered_by(payer) + entry.checked.transaction.fee
        self.size_bytes += entry.checked.size

    def discard(self, entry: Entry) -> None:
        """Remove a waiting entry."""
        del self._by_id[entry.checked.id]
        del self._numbers[entry.checked.id]
        queue = self._by_sender[entry.sender]
        del queue[entry.nonce]
        if not queue:
            del self._by_sender[entry.sender]
        if entry.accused is not None:
            del self.accusations[entry.accused]
            self.accusations_bytes -= entry.checked.size
        payer = entry.checked.transaction.fee_payer
        offered = self.fees_offered_by(payer) - entry.checked.transaction.fee
        if offered:
            self._offered_by[payer] = offered
        else:  # nothing, or free offers only
            self._offered_by.pop(payer, None)
        self.size_bytes -= entry.checked.size
        self._drop_stale()

    def _drop_stale(self) -> None:
        """Rebuild the heap when most of it is gone: its size follows what waits."""
        if len(self._cheapest) > 2 * len(self._by_id) + 64:
            self._cheapest = [self._rank(entry) for entry in self]
            heapq.heapify(self._cheapest)

    def pop_cheapest(self) -> Entry | None:
        """Take the entry with the lowest fee rate off the heap only; `push_back` returns it."""
        while self._cheapest:
            _, transaction_id, number = heapq.heappop(self._cheapest)
            if self._numbers.get(transaction_id) == number:
                return self._by_id[transaction_id]
        return None

    def push_back(self, entry: Entry) -> None:
        """Return to the heap what `pop_cheapest` took from it."""
        heapq.heappush(self._cheapest, self._rank(entry))

    def _rank(self, entry: Entry) -> tuple[int, bytes, int]:
        return entry.fee_rate, entry.checked.id, self._numbers[entry.checked.id]
