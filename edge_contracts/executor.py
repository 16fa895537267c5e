"""Runs contracts for the ledger: `ledger.ports.ContractExecutor` on a worker process.

Rule 1: what a call comes to depends on the call and the chain only: same result, gas and events on
every node with the same `lvm_id`.
Rule 2: a worker that fails decides nothing: `ExecutorError`, never a result.
Rule 3: what comes back from a worker is checked like anything else from outside.
"""

from types import TracebackType
from typing import Self

from edge_contracts.bundle import describe_positions
from edge_contracts.errors import ContractError, ValueFormatError
from edge_contracts.host_desk import HostDesk
from edge_contracts.manifest import Manifest, Method
from edge_contracts.messages import (
    ERROR_LENGTH_MAX,
    OPERATIONS,
    CallEnded,
    HostReply,
    HostRequest,
    RunCall,
)
from edge_contracts.metering import compute_entry_gas
from edge_contracts.program import Program, ProgramCache, compute_words_gas
from edge_contracts.value_types import conform
from edge_contracts.values import Value, decode_value, encode_value
from edge_contracts.worker_process import WorkerProcess
from ledger.errors import ExecutorError
from ledger.params import CONTRACT_OUTPUT_BYTES_MAX, DEPLOY_CHECK_GAS
from ledger.ports import (
    Clock,
    ContractCall,
    ContractCode,
    ContractHost,
    ExecutionResult,
    ExecutionStatus,
)

INIT_METHOD = "init"
CHECK_GAS = DEPLOY_CHECK_GAS  # running a chunk only makes tables and functions
_EMPTY_MAP = encode_value({})


class WorkerExecutor:
    """`ContractExecutor`; close it, or use it as a context manager, to end its worker."""

    def __init__(self, clock: Clock) -> None:
        self._worker = WorkerProcess(clock)
        self._programs = ProgramCache()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def worker_process_id(self) -> int | None:
        """The running worker's process id, for whoever watches or tests it."""
        return self._worker.process_id

    def close(self) -> None:
        """End the worker."""
        self._worker.close()

    def check(self, code: ContractCode) -> str | None:
        """Return None when the code may be deployed, else one line that says what is wrong."""
        try:
            program = self._programs.get(code)
        except ContractError as error:
            return _to_line(str(error))
        ended = self._worker.run(_build_check(program), _refuse_all)
        if ended.status != "ok":
            return _to_line(describe_positions(ended.error, code.source)) or ended.status
        offered = _decode_result(ended)
        for name in program.manifest.methods:
            if not isinstance(offered, list) or name not in offered:
                return f"methods.{name}: the contract has no function '{name}'"
        return None

    def execute(self, call: ContractCall, host: ContractHost) -> ExecutionResult:
        """Run one call. Raises `ledger.errors.ExecutorError` when the worker, not the code, failed."""
        base_gas = self._compute_base_gas(call)
        if base_gas > call.gas_limit:
            return ExecutionResult(ExecutionStatus.OUT_OF_GAS, call.gas_limit)
        try:
            program = self._programs.get(call.code)
            method = _find_method(call, program.manifest)
            args = _decode_args(call.args, method)
        except ContractError as error:
            return _abort(str(error), base_gas)
        if method is None:
            return ExecutionResult(ExecutionStatus.OK, base_gas, encode_value(None))
        desk = HostDesk(host, program.manifest, is_query=method.query)
        ended = self._worker.run(_build_run(call, program, args, base_gas), desk.serve)
        return _conclude(ended, call, method, desk.event_bytes)

    def _compute_base_gas(self, call: ContractCall) -> int:
        """Return what a call costs before its first instruction, or more than it can pay."""
        code = call.code
        source_bytes = len(code.source.encode(errors="replace"))
        manifest_bytes = len(code.manifest.encode(errors="replace"))
        entry_gas = compute_entry_gas(source_bytes, manifest_bytes, len(call.args))
        if entry_gas > call.gas_limit:
            return entry_gas
        program = self._programs.find(code)
        return entry_gas + (compute_words_gas(code) if program is None else program.words_gas)


def _find_method(call: ContractCall, manifest: Manifest) -> Method | None:
    """Return what is called, or None for a deployment that needs no `init`."""
    method = manifest.methods.get(call.method)
    if method is None:
        if call.method == INIT_METHOD:
            return None
        raise ContractError(f"no method '{call.method}'")
    if call.is_query and not method.query:
        raise ContractError(f"method '{call.method}' is not a query")
    if call.deposit and not method.payable:
        raise ContractError(f"method '{call.method}' takes no deposit")
    if method.caller == "owner" and call.caller != call.owner:
        raise ContractError(f"only the contract's owner may call '{call.method}'")
    return method


def _decode_args(raw: bytes, method: Method | None) -> bytes:
    value = decode_value(raw or _EMPTY_MAP)
    if method is None:
        if value:
            raise ContractError("the contract has no init and takes no arguments")
        return _EMPTY_MAP
    if not isinstance(value, dict):
        raise ValueFormatError("arguments are a map of names to values")
    return encode_value(conform(value, method.args, "args"))


def _build_run(call: ContractCall, program: Program, args: bytes, base_gas: int) -> RunCall:
    context: dict[str, Value] = {
        "caller": call.caller,
        "owner": call.owner,
        "contract": call.contract,
        "deposit": call.deposit,
        "height": call.height,
        "time_ms": call.time_ms,
        "method": call.method,
    }
    return RunCall(
        source=program.source,
        method=call.method,
        args=args,
        context=encode_value(context),
        operations=OPERATIONS,
        gas_used=base_gas,
        gas_limit=call.gas_limit,
    )


def _build_check(program: Program) -> RunCall:
    return RunCall(
        source=program.source,
        method="",
        args=_EMPTY_MAP,
        context=_EMPTY_MAP,
        operations=OPERATIONS,
        gas_used=0,
        gas_limit=CHECK_GAS,
    )


def _refuse_all(_request: HostRequest) -> HostReply:
    return HostReply(refused="a contract asks the chain inside its methods, not while it loads")


def _conclude(
    ended: CallEnded, call: ContractCall, method: Method, event_bytes: int
) -> ExecutionResult:
    gas_used = min(max(ended.gas_used, 0), call.gas_limit)
    match ended.status:
        case "ok":
            return _conclude_ok(ended, gas_used, method, event_bytes)
        case "aborted":
            return _abort(describe_positions(ended.error, call.code.source), gas_used)
        case "out-of-gas":
            return ExecutionResult(ExecutionStatus.OUT_OF_GAS, call.gas_limit)
        case "out-of-memory":
            return ExecutionResult(ExecutionStatus.OUT_OF_MEMORY, call.gas_limit)
        case _:
            raise ExecutorError(f"contract worker answered with status {ended.status[:20]!a}")


def _conclude_ok(
    ended: CallEnded, gas_used: int, method: Method, event_bytes: int
) -> ExecutionResult:
    value = _decode_result(ended)
    try:
        result = encode_value(conform(value, method.returns, f"result of {method.name}"))
    except ValueFormatError as error:
        return _abort(str(error), gas_used)
    if len(result) + event_bytes > CONTRACT_OUTPUT_BYTES_MAX:
        limit = f"result and events have more than {CONTRACT_OUTPUT_BYTES_MAX} bytes together"
        return _abort(limit, gas_used)
    return ExecutionResult(ExecutionStatus.OK, gas_used, result)


def _decode_result(ended: CallEnded) -> Value:
    try:
        return decode_value(ended.result)
    except ValueFormatError as error:
        raise ExecutorError(f"contract worker answered with a result that is {error}") from None


def _abort(reason: str, gas_used: int) -> ExecutionResult:
    return ExecutionResult(ExecutionStatus.ABORTED, gas_used, error=_to_line(reason))


def _to_line(text: str) -> str:
    return " ".join(text[:ERROR_LENGTH_MAX].split())
