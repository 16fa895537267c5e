"""Questions to contracts, beside block production: one at a time, each at the newest final block.

Rule 1: nothing is waited for while a snapshot is open: an old snapshot keeps the database's
write-ahead file from being reused.
Rule 2: who comes while one is answered is refused, not queued: strangers fill no queue.
"""

import threading
from pathlib import Path

from ledger.errors import Reason, Rejected
from ledger.node.execution import SerialExecutor
from ledger.params import CONTRACT_CALL_GAS_MAX
from ledger.ports import ExecutionResult
from ledger.state.transition import BlockContext, query_contract
from ledger.storage.reader import ChainReader
from ledger.types.genesis import Genesis
from ledger.types.genesis_file import genesis_chain_id

_BUSY = Rejected(Reason.BUSY, "another question to a contract is being answered: ask again")


class ContractQueries:
    """Answers questions on any thread but the event loop's."""

    def __init__(self, path: Path, genesis: Genesis, executor: SerialExecutor) -> None:
        self._path = path
        self._genesis = genesis
        self._chain_id = genesis_chain_id(genesis)
        self._executor = executor
        self._asking = threading.Lock()

    def ask(self, contract: bytes, method: str, args: bytes) -> ExecutionResult | Rejected:
        """Return what the method gives. Raises `ExecutorError` when the worker failed."""
        if not self._asking.acquire(blocking=False):
            return _BUSY
        try:
            with self._executor.held():
                return self._ask(contract, method, args)
        finally:
            self._asking.release()

    def _ask(self, contract: bytes, method: str, args: bytes) -> ExecutionResult | Rejected:
        reader = ChainReader.open(self._path)
        try:
            with reader.snapshot():
                context = self._find_context(reader)
                gas = CONTRACT_CALL_GAS_MAX
                return query_contract(reader, context, contract, method, args, self._executor, gas)
        finally:
            reader.close()

    def _find_context(self, reader: ChainReader) -> BlockContext:
        tip = reader.tip()
        height, time_ms = (
            (0, self._genesis.time_ms) if tip is None else (tip.header.height, tip.header.time_ms)
        )
        return BlockContext(self._chain_id, height, time_ms, self._genesis.agents[0].node)
