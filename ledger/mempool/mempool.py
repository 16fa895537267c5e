"""The mempool: what is worth proposing, until it stands in a block or expires.

Rule 1: a transaction waits only if a block could hold it, its nonce apart: nonces may run ahead of
the state by fewer than `SENDER_NONCES_MAX`.
Rule 2: a payer holds enough for all fees that it offers to what waits: flooding needs funds.
Rule 3: the same nonce again replaces the old transaction, for at least a tenth more fee.
Rule 4: when full, who offers more per byte displaces who offers less.
Rule 5: accusations have room and rules of their own (`accusations.py`).
"""

import itertools
from collections.abc import Sequence

from ledger.errors import Reason, Rejected
from ledger.mempool.accusations import check_accusation, list_void, select_accusations
from ledger.mempool.eviction import choose_evicted
from ledger.mempool.limits import (
    BYTES_MAX,
    COUNT_MAX,
    REPLACEMENT_TENTHS_MIN,
    SENDER_NONCES_MAX,
)
from ledger.mempool.selection import Selection, select
from ledger.mempool.waiting import Entry, Waiting, build_entry
from ledger.state.accounts import get_account
from ledger.state.admission import admit_transaction
from ledger.state.context import CheckedTransaction
from ledger.state.overlay import StateReader


class Mempool:
    """Transactions that wait for a block. One caller at a time; every method is a pure step."""

    def __init__(self, *, count_max: int = COUNT_MAX, bytes_max: int = BYTES_MAX) -> None:
        self._count_max = count_max
        self._bytes_max = bytes_max
        self._waiting = Waiting()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def size_bytes(self) -> int:
        """The sum of the sizes of what waits."""
        return self._waiting.size_bytes

    def get(self, transaction_id: bytes) -> CheckedTransaction | None:
        """Return a waiting transaction, or None."""
        entry = self._waiting.get(transaction_id)
        return None if entry is None else entry.checked

    def next_nonce(self, sender: bytes, view: StateReader) -> int:
        """Return the nonce behind the sender's last one that can run: what a wallet uses next."""
        nonce = get_account(view, sender).nonce
        queue = self._waiting.queue(sender)
        while nonce in queue:
            nonce += 1
        return nonce

    def is_accused(self, agent: bytes) -> bool:
        """Tell whether an accusation of the agent waits."""
        return agent in self._waiting.accusations

    def add(
        self, checked: CheckedTransaction, view: StateReader, height: int, time_ms: int
    ) -> Rejected | None:
        """Let a transaction wait; None when it does.

        `height` is the next block's, `time_ms` the Unix time of the newest one, behind which is `view`.
        """
        newcomer = build_entry(checked)
        replaced = self._waiting.queue(newcomer.sender).get(newcomer.nonce)
        refusal = (
            self._check_new(newcomer, replaced)
            or self._check_nonce(newcomer, view)
            or admit_transaction(checked, view, height, pending_nonce=newcomer.nonce)
            or self._check_backing(newcomer, replaced, view)
            or check_accusation(self._waiting, newcomer, view, time_ms)
        )
        if refusal is not None:
            return refusal
        evicted = self._make_room(newcomer, replaced)
        if evicted is None:
            return Rejected(
                Reason.FULL, f"{len(self)} transactions wait and none offers less per byte"
            )
        for entry in evicted:
            self._waiting.discard(entry)
        self._waiting.insert(newcomer)
        return None

    def take(self, max_bytes: int, max_count: int, view: StateReader) -> list[CheckedTransaction]:
        """Return transactions for one block on top of `view`, in an order in which all may run.

        They go on waiting until `prune` sees them in a final block.
        """
        selection = Selection(view, max_bytes, max_count)
        select_accusations(self._waiting, view, selection)
        return [entry.checked for entry in select(self._waiting, selection)]

    def oldest(self, count: int) -> tuple[bytes, ...]:
        """Return signed transactions as their senders made them: accusations, then the longest waiting."""
        accusations = self._waiting.accusations.values()
        others = (entry for entry in self._waiting if entry.accused is None)
        chosen = itertools.islice(itertools.chain(accusations, others), count)
        return tuple(entry.checked.raw for entry in chosen)

    def prune(
        self,
        transactions: Sequence[CheckedTransaction],
        view: StateReader,
        height: int,
        time_ms: int,
    ) -> None:
        """Drop what a final block made void: `view` is the state behind it, height and time are its own.

        Void are used nonces, what expired, what its payer can no longer pay, and accusations that convict
        nobody any more.
        """
        for checked in transactions:
            self._drop_used(checked.transaction.sender, checked.transaction.nonce)
        for entry in self._waiting:
            if entry.checked.transaction.expiry_height <= height:
                self._waiting.discard(entry)
        for entry in list_void(self._waiting, view, time_ms):
            self._waiting.discard(entry)
        payers = {c.transaction.sender for c in transactions}
        payers |= {c.transaction.fee_payer for c in transactions}
        self._drop_unbacked(payers, view)

    def remove(self, transaction_id: bytes) -> None:
        """Drop one transaction, for example one that a proposer could not run."""
        entry = self._waiting.get(transaction_id)
        if entry is not None:
            self._waiting.discard(entry)

    def _check_new(self, newcomer: Entry, replaced: Entry | None) -> Rejected | None:
        if self._waiting.get(newcomer.checked.id) is not None:
            return Rejected(Reason.DUPLICATE, "the transaction already waits")
        if replaced is None:
            return None
        if newcomer.nonce < self._waiting.last_accusation(newcomer.sender):
            detail = f"nonce {newcomer.nonce} goes into a block with an accusation behind it"
            return Rejected(Reason.DUPLICATE, f"{detail}: it cannot be replaced")
        old_fee = replaced.checked.transaction.fee
        needed = max(-(-old_fee * REPLACEMENT_TENTHS_MIN // 10), 1)
        if newcomer.checked.transaction.fee < needed:
            return Rejected(
                Reason.FEE_TOO_LOW, f"nonce {newcomer.nonce} waits: to replace it offer {needed}"
            )
        return None

    def _check_nonce(self, newcomer: Entry, view: StateReader) -> Rejected | None:
        first = get_account(view, newcomer.sender).nonce
        if first <= newcomer.nonce < first + SENDER_NONCES_MAX:
            return None
        return Rejected(
            Reason.BAD_NONCE,
            f"nonce {newcomer.nonce} is outside {first}..{first + SENDER_NONCES_MAX - 1}",
        )

    def _check_backing(
        self, newcomer: Entry, replaced: Entry | None, view: StateReader
    ) -> Rejected | None:
        payer = newcomer.checked.transaction.fee_payer
        offered = self._waiting.fees_offered_by(payer) + newcomer.checked.transaction.fee
        if replaced is not None and replaced.checked.transaction.fee_payer == payer:
            offered -= replaced.checked.transaction.fee
        balance = get_account(view, payer).balance
        if offered <= balance:
            return None
        return Rejected(
            Reason.INSUFFICIENT_FUNDS,
            f"the fee payer holds {balance} base units and offers {offered} in waiting fees",
        )

    def _make_room(self, newcomer: Entry, replaced: Entry | None) -> list[Entry] | None:
        """Return what must go so that the newcomer fits, the replaced one included."""
        leaving = [] if replaced is None else [replaced]
        if newcomer.accused is not None:
            other = self._waiting.accusations.get(newcomer.accused)
            return leaving if other is None or other is replaced else [*leaving, other]
        count = len(self) - len(self._waiting.accusations)
        size = self.size_bytes - self._waiting.accusations_bytes
        for entry in leaving:
            if entry.accused is None:
                count, size = count - 1, size - entry.checked.size
        evicted = choose_evicted(
            self._waiting,
            newcomer,
            count=count + 1 - self._count_max,
            size=size + newcomer.checked.size - self._bytes_max,
        )
        return None if evicted is None else leaving + evicted

    def _drop_used(self, sender: bytes, nonce: int) -> None:
        queue = self._waiting.queue(sender)
        for used in [entry for waiting, entry in queue.items() if waiting <= nonce]:
            self._waiting.discard(used)

    def _drop_unbacked(self, payers: set[bytes], view: StateReader) -> None:
        """Drop the cheapest of what a payer offers until its balance covers the rest."""
        balances = {payer: get_account(view, payer).balance for payer in payers}
        short = {p for p in payers if self._waiting.fees_offered_by(p) > balances[p]}
        if not short:
            return
        for entry in sorted(self._waiting, key=lambda entry: (entry.fee_rate, -entry.nonce)):
            payer = entry.checked.transaction.fee_payer
            if payer in short and self._waiting.fees_offered_by(payer) > balances[payer]:
                self._waiting.discard(entry)
