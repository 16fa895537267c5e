"""Which waiting transactions the next block takes.

Rule 1: a sender's transactions run in nonce order from the state's nonce, without a hole.
Rule 2: rounds: in each, every sender gives at most one, the highest fee rate first, ties by address;
so no sender fills a block alone, and the same pool and state give the same list.
Rule 3: every fee is certain to be payable when its turn comes, whatever the others do: what a payer
is sure to hold is its balance in the state less all that it may have spent before. Of free offers a
block takes no more than the sender's allowance.
"""

from collections.abc import Iterable, Iterator, Mapping

from ledger.mempool.waiting import Entry, Waiting
from ledger.params import BLOCK_GAS_MAX
from ledger.state.accounts import get_account
from ledger.state.admission import compute_outlay, count_free
from ledger.state.fees import get_gas_limit, is_free_offer
from ledger.state.overlay import StateReader


class Selection:
    """A block being filled, within bytes, count and gas."""

    def __init__(self, view: StateReader, bytes_max: int, count_max: int) -> None:
        self._view = view
        self._bytes_left = bytes_max
        self._count_left = count_max
        self._gas_left = BLOCK_GAS_MAX
        self._sure_funds: dict[bytes, int] = {}
        self._next_nonces: dict[bytes, int] = {}
        self._free_left: dict[bytes, int] = {}
        self.entries: list[Entry] = []

    @property
    def is_full(self) -> bool:
        """Whether not one more transaction fits."""
        return self._count_left <= 0 or self._bytes_left <= 0

    def try_add(self, entry: Entry) -> bool:
        """Add an entry that fits, is its sender's next and sure to pay; tell whether it was added."""
        if self.is_full or not self._can_add(entry):
            return False
        transaction = entry.checked.transaction
        if is_free_offer(transaction):
            self._free_left[transaction.sender] -= 1
        self._spend(transaction.fee_payer, transaction.fee)
        self._spend(transaction.sender, compute_outlay(transaction))
        self._next_nonces[transaction.sender] = transaction.nonce + 1
        self._bytes_left -= entry.checked.size
        self._count_left -= 1
        self._gas_left -= get_gas_limit(transaction)
        self.entries.append(entry)
        return True

    def add_in_order(self, entries: Iterable[Entry]) -> None:
        """Add entries up to the first that cannot be added."""
        for entry in entries:
            if not self.try_add(entry):
                return

    def _can_add(self, entry: Entry) -> bool:
        transaction = entry.checked.transaction
        return (
            entry.checked.size <= self._bytes_left
            and get_gas_limit(transaction) <= self._gas_left
            and transaction.nonce == self.get_next_nonce(transaction.sender)
            and transaction.fee <= self._get_sure_funds(transaction.fee_payer)
            and (not is_free_offer(transaction) or self._get_free_left(transaction.sender) > 0)
        )

    def get_next_nonce(self, sender: bytes) -> int:
        """Return the nonce of the sender's next transaction in this block."""
        if sender not in self._next_nonces:
            self._read_account(sender)
        return self._next_nonces[sender]

    def _spend(self, address: bytes, amount: int) -> None:
        """Lower what is sure. Not below nothing: who spent more had an income in this block."""
        self._sure_funds[address] = max(0, self._get_sure_funds(address) - amount)

    def _get_free_left(self, sender: bytes) -> int:
        if sender not in self._free_left:
            self._free_left[sender] = count_free(self._view, sender)
        return self._free_left[sender]

    def _get_sure_funds(self, address: bytes) -> int:
        if address not in self._sure_funds:
            self._read_account(address)
        return self._sure_funds[address]

    def _read_account(self, address: bytes) -> None:
        account = get_account(self._view, address)
        self._sure_funds.setdefault(address, account.balance)
        self._next_nonces.setdefault(address, account.nonce)


def select(waiting: Waiting, selection: Selection) -> list[Entry]:
    """Fill a block, accusations apart, from what waits; return its entries in the order in which they run."""
    lines: list[tuple[Entry, Iterator[Entry]]] = []
    for sender in waiting.senders():
        run = _run(waiting.queue(sender), selection.get_next_nonce(sender))
        first = next(run, None)
        if first is not None:
            lines.append((first, run))
    while lines and not selection.is_full:
        lines.sort(key=lambda line: (-line[0].fee_rate, line[0].sender))
        lines = [
            (following, run)
            for entry, run in lines
            if selection.try_add(entry) and (following := next(run, None)) is not None
        ]
    return selection.entries


def _run(queue: Mapping[int, Entry], nonce: int) -> Iterator[Entry]:
    """Yield a queue's entries from this nonce up to the first hole or accusation: those come first or wait.

    Those below stand in a block that is not final yet.
    """
    while nonce in queue and queue[nonce].accused is None:
        yield queue[nonce]
        nonce += 1
