"""Running contract code for a transaction or a query, and judging how it ended.

Rule 1: an execution whose status is not OK is a failure; its gas is charged like any other's.
Rule 2: no more gas is charged than the limit, whatever the executor counted past it.
Rule 3: a result larger than `CONTRACT_RESULT_BYTES_MAX`, or more than `CONTRACT_OUTPUT_BYTES_MAX` of
result and events together, is a failure: every node would store it.
"""

from ledger.codec import canonical
from ledger.crypto.hashing import sha256
from ledger.errors import CorruptStorageError, Reason, Rejected
from ledger.params import (
    CONTRACT_OUTPUT_BYTES_MAX,
    CONTRACT_RESULT_BYTES_MAX,
    REASON_LENGTH_MAX,
)
from ledger.ports import ContractCall, ContractCode, ContractExecutor, ExecutionStatus
from ledger.state.context import Processed
from ledger.state.contract_host import OverlayHost
from ledger.state.keys import contract_code_key, contract_key, contract_manifest_key
from ledger.state.overlay import Overlay, StateReader
from ledger.state.plain_text import to_one_line
from ledger.types.records import Contract

INIT_METHOD = "init"

_contracts = canonical.OwnDecoder(Contract)


def get_contract(state: StateReader, address: bytes) -> Contract | Rejected:
    """Return a deployed contract."""
    data = state.get(contract_key(address))
    if data is None:
        return Rejected(Reason.UNKNOWN_CONTRACT, f"no contract at {address.hex()[:16]}")
    return _contracts.decode(data)


def get_contract_code(state: StateReader, contract: Contract) -> ContractCode:
    """Return the code of a deployed contract."""
    source = state.get(contract_code_key(contract.code_hash))
    manifest = state.get(contract_manifest_key(contract.manifest_hash))
    if source is None or manifest is None:
        raise CorruptStorageError(f"code {contract.code_hash.hex()} of a contract is missing")
    return ContractCode(source=source.decode(), manifest=manifest.decode())


def put_contract_code(state: Overlay, code: ContractCode) -> tuple[bytes, bytes]:
    """Store code and manifest by hash; return the two hashes."""
    source, manifest = code.source.encode(), code.manifest.encode()
    code_hash, manifest_hash = sha256(source), sha256(manifest)
    state.put(contract_code_key(code_hash), source)
    state.put(contract_manifest_key(manifest_hash), manifest)
    return code_hash, manifest_hash


def run_contract(state: Overlay, call: ContractCall, executor: ContractExecutor) -> Processed:
    """Run one call over `state`; raise `ExecutorError` when the worker failed."""
    host = OverlayHost(state, call.contract)
    execution = executor.execute(call, host)
    gas_used = min(execution.gas_used, call.gas_limit)
    if execution.status is not ExecutionStatus.OK:
        return Processed(failure=_describe(execution.status, execution.error), gas_used=gas_used)
    if len(execution.result) > CONTRACT_RESULT_BYTES_MAX:
        detail = f"the result has more than {CONTRACT_RESULT_BYTES_MAX} bytes"
        return Processed(failure=Rejected(Reason.TOO_LARGE, detail), gas_used=gas_used)
    if len(execution.result) + host.event_bytes > CONTRACT_OUTPUT_BYTES_MAX:
        detail = f"result and events have more than {CONTRACT_OUTPUT_BYTES_MAX} bytes together"
        return Processed(failure=Rejected(Reason.TOO_LARGE, detail), gas_used=gas_used)
    return Processed(gas_used=gas_used, result=execution.result, events=host.events)


def _describe(status: ExecutionStatus, error: str) -> Rejected:
    is_out_of_gas = status is ExecutionStatus.OUT_OF_GAS
    reason = Reason.OUT_OF_GAS if is_out_of_gas else Reason.CONTRACT_ABORTED
    return Rejected(reason, to_one_line(error, REASON_LENGTH_MAX) or status.value)
