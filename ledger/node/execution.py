"""Two small helpers around running transactions: one contract at a time, and which one is running."""

import threading
from collections.abc import Iterator, Sequence
from typing import overload

from ledger.ports import ContractCall, ContractCode, ContractExecutor, ContractHost, ExecutionResult
from ledger.state.transition import CheckedTransaction


class SerialExecutor:
    """A `ContractExecutor` that block production and queries from other threads may share."""

    def __init__(self, executor: ContractExecutor) -> None:
        self._executor = executor
        self._lock = threading.Lock()

    def check(self, code: ContractCode) -> str | None:
        """Return None when the code may be deployed, else one line that says what is wrong."""
        with self._lock:
            return self._executor.check(code)

    def execute(self, call: ContractCall, host: ContractHost) -> ExecutionResult:
        """Run one call, after those that were asked for before."""
        with self._lock:
            return self._executor.execute(call, host)


class WatchedTransactions(Sequence[CheckedTransaction]):
    """A block's transactions that remember which was handed out last.

    So when a contract worker fails, the proposer knows which transaction to leave out.
    """

    def __init__(self, transactions: Sequence[CheckedTransaction]) -> None:
        self._transactions = tuple(transactions)
        self.position = 0

    def __len__(self) -> int:
        return len(self._transactions)

    def __iter__(self) -> Iterator[CheckedTransaction]:
        for position, transaction in enumerate(self._transactions):
            self.position = position
            yield transaction

    @overload
    def __getitem__(self, index: int) -> CheckedTransaction: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[CheckedTransaction]: ...
    def __getitem__(self, index: int | slice) -> CheckedTransaction | Sequence[CheckedTransaction]:
        return self._transactions[index]
