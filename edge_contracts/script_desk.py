"""Serves a test script: deploys and calls the contract under test on a chain in memory."""

import hashlib
from dataclasses import dataclass

from edge_contracts.bundle import describe_positions
from edge_contracts.errors import ContractError, ValueFormatError
from edge_contracts.executor import INIT_METHOD, WorkerExecutor
from edge_contracts.memory_host import MemoryHost, parse_reading
from edge_contracts.messages import HostReply, HostRequest
from edge_contracts.value_types import conform, parse_record
from edge_contracts.values import Value, decode_value, encode_value
from ledger.params import CONTRACT_CALL_GAS_MAX, CONTRACT_QUERY_GAS_MAX
from ledger.ports import ContractCall, ContractCode, ExecutionResult, ExecutionStatus

START_TIME_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z, unless a call says otherwise

_CALL = parse_record(
    {
        "method": "text",
        "args": "any",
        "caller": "address?",
        "deposit": "amount?",
        "time_ms": "int?",
    },
    "test.call",
)
_DEPLOY = parse_record({"args": "any", "owner": "address?", "time_ms": "int?"}, "test.deploy")


@dataclass(frozen=True, slots=True)
class CaseReport:
    """One `test.case`; `error` is empty when it passed."""

    name: str
    error: str = ""


class ScriptDesk:
    """Serves a test script's requests."""

    def __init__(self, code: ContractCode, executor: WorkerExecutor, script: str) -> None:
        self._code = code
        self._executor = executor
        self._script = script
        self._host = MemoryHost()
        self._owner = _derive_address("owner")
        self.cases: list[CaseReport] = []

    def serve(self, request: HostRequest) -> HostReply:
        """Answer one request of the test library."""
        try:
            answer = self._perform(request.key.decode(errors="replace"), request.data)
            return HostReply(data=encode_value(answer))
        except ContractError as error:
            return HostReply(refused=str(error))

    def _perform(self, name: str, data: bytes | None) -> Value:
        value = decode_value(data or encode_value(None))
        match name:
            case "reset":
                self._host = MemoryHost()
                return None
            case "case":
                self._report(value)
                return None
            case "address":
                return _derive_address(str(value))
            case "balance":
                return self._get_balance(value)
            case "proof":
                proof = encode_value(value)
                parse_reading(proof)
                return proof
            case "deploy":
                return self._deploy(value)
            case "call" | "query":
                return self._call(value, is_query=name == "query")
            case _:
                raise ValueFormatError(f"no test function {name[:20]!a}")

    def _report(self, value: Value) -> None:
        assert isinstance(value, dict)  # the test library made it
        error = describe_positions(str(value.get("error", "")), self._script)
        self.cases.append(CaseReport(str(value["name"]), error))

    def _get_balance(self, value: Value) -> int:
        address = value.get("address") if isinstance(value, dict) else None
        if address is None:
            return self._host.held
        key = address.encode() if isinstance(address, str) else address
        return self._host.paid.get(key, 0) if isinstance(key, bytes) else 0

    def _deploy(self, value: Value) -> Value:
        options = conform(value, _DEPLOY, "test.deploy")
        assert isinstance(options, dict)
        owner = options.get("owner", self._owner)
        assert isinstance(owner, bytes)
        self._host, self._owner = MemoryHost(), owner
        return self._execute({**options, "method": INIT_METHOD, "caller": owner}, is_query=False)

    def _call(self, value: Value, *, is_query: bool) -> Value:
        options = conform(value, _CALL, "test.call")
        assert isinstance(options, dict)
        return self._execute(options, is_query=is_query)

    def _execute(self, options: dict[str, Value], *, is_query: bool) -> Value:
        host = self._host.copy()
        call = self._build_call(options, is_query=is_query)
        host.held += call.deposit
        result = self._executor.execute(call, host)
        if result.status is ExecutionStatus.OK and not is_query:
            self._host = host
        return _describe_result(result, host)

    def _build_call(self, options: dict[str, Value], *, is_query: bool) -> ContractCall:
        caller = options.get("caller", _derive_address("anyone"))
        deposit = options.get("deposit", 0)
        time_ms = options.get("time_ms", START_TIME_MS)
        assert isinstance(caller, bytes)
        assert isinstance(deposit, int)
        assert isinstance(time_ms, int)
        return ContractCall(
            code=self._code,
            contract=_derive_address("contract"),
            owner=self._owner,
            caller=caller,
            method=str(options["method"]),
            args=encode_value(options.get("args") or {}),
            deposit=deposit,
            height=1,
            time_ms=time_ms,
            gas_limit=CONTRACT_QUERY_GAS_MAX if is_query else CONTRACT_CALL_GAS_MAX,
            is_query=is_query,
        )


def _describe_result(result: ExecutionResult, host: MemoryHost) -> Value:
    if result.status is not ExecutionStatus.OK:
        error = result.error or result.status.value
        return {"ok": False, "error": error, "gas": result.gas_used, "events": []}
    events: list[Value] = [
        {"name": name, "fields": decode_value(data)} for name, data in host.events
    ]
    answer: dict[str, Value] = {"ok": True, "gas": result.gas_used, "events": events}
    answer["result"] = decode_value(result.result)
    return {key: item for key, item in answer.items() if item is not None}


def _derive_address(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()
