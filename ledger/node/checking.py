"""Many transactions' form and signatures, checked on several threads: libsodium lets go of the interpreter.

Rule: the verdict is that of checking them one by one in order; which thread looked at which is invisible.
"""

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

from ledger.errors import Rejected
from ledger.state.context import CheckedTransaction
from ledger.state.transition import check_transaction

CHUNK_TRANSACTIONS = 64  # about 5 ms of one core: little enough to share out a block evenly
THREADS_MAX = 4

Verdict = tuple[CheckedTransaction, ...] | Rejected


class Checking:
    """Transactions that are being checked."""

    def __init__(self, parts: Sequence[Future[Verdict]]) -> None:
        self._parts = parts

    def result(self) -> Verdict:
        """Wait; return all of them checked, in order, or why the first bad one is refused."""
        checked: list[CheckedTransaction] = []
        for part in self._parts:
            verdict = part.result()
            if isinstance(verdict, Rejected):
                return verdict
            checked.extend(verdict)
        return tuple(checked)


class TransactionChecker:
    """Threads that check transactions of one chain; they start with the first block that needs them."""

    def __init__(self, chain_id: bytes, threads: int | None = None) -> None:
        self._chain_id = chain_id
        count = min(os.cpu_count() or 1, THREADS_MAX) if threads is None else threads
        self._pool = ThreadPoolExecutor(count, "transaction-checker")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def check(self, raws: Sequence[bytes]) -> Verdict:
        """Return these transactions checked, or why the first bad one is refused."""
        if len(raws) <= CHUNK_TRANSACTIONS:
            return self._check_chunk(raws)
        return self.start(raws).result()

    def start(self, raws: Sequence[bytes]) -> Checking:
        """Begin with these transactions, behind those begun before."""
        starts = range(0, len(raws), CHUNK_TRANSACTIONS)
        chunks = (raws[start : start + CHUNK_TRANSACTIONS] for start in starts)
        return Checking([self._pool.submit(self._check_chunk, chunk) for chunk in chunks])

    def _check_chunk(self, raws: Sequence[bytes]) -> Verdict:
        checked: list[CheckedTransaction] = []
        for raw in raws:
            transaction = check_transaction(raw, self._chain_id)
            if isinstance(transaction, Rejected):
                return transaction
            checked.append(transaction)
        return tuple(checked)
