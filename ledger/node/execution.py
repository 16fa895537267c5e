"""A contract executor that several threads share, and that fails in one way only."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from ledger.errors import ExecutorError, StorageError
from ledger.ports import ContractCall, ContractCode, ContractExecutor, ContractHost, ExecutionResult

_T = TypeVar("_T")


class SerialExecutor:
    """A `ContractExecutor` that runs one call at a time.

    Whatever goes wrong in the executor behind it comes out as `ExecutorError`; `StorageError` from
    the host's state stays what it is.
    """

    def __init__(self, executor: ContractExecutor) -> None:
        self._executor = executor
        self._lock = threading.RLock()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep the executor for this thread's calls, so that none of them waits."""
        with self._lock:
            yield

    def check(self, code: ContractCode) -> str | None:
        """Return None when the code may be deployed, else one line that says what is wrong."""
        return self._run(lambda: self._executor.check(code))

    def execute(self, call: ContractCall, host: ContractHost) -> ExecutionResult:
        """Run one call, after those that were asked for before."""
        return self._run(lambda: self._executor.execute(call, host))

    def _run(self, job: Callable[[], _T]) -> _T:
        try:
            with self._lock:
                return job()
        except (ExecutorError, StorageError):
            raise
        except Exception as error:
            raise ExecutorError(f"the contract executor failed: {error!r}") from error
