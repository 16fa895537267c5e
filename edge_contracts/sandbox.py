"""One Lua 5.4 state for one call: the only module that touches lupa.

Rule 1: a state runs one call and is thrown away; nothing of one contract meets another.
Rule 2: only text chunks, no Python object within a contract's reach, every attribute denied.
Rule 3: Lua strings are bytes; a table crosses as a contract value (`values`) or not at all.
Rule 4: the collector stays off, so memory is what the call allocated, and costs no hidden time.
"""

import functools
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, NoReturn

import lupa
from lupa import lua54

from edge_contracts import metering
from edge_contracts.errors import ValueFormatError
from edge_contracts.values import VALUE_BYTES_MAX, VALUE_NODES_MAX, Value
from ledger.params import CONTRACT_MEMORY_BYTES_MAX, CONTRACT_VALUE_DEPTH_MAX

VM_REVISION = 2  # raised when a rule in Python code changes what a contract computes or pays
# The call is measured and ended at every tick; this cap only stops what happens between two ticks.
_STATE_BYTES_MAX = 4 * CONTRACT_MEMORY_BYTES_MAX
_CHUNK_NAME = "=contract"

_PARTS = ("machine.lua", "library.lua", "run.lua")  # one chunk: later parts use earlier locals
_FOLDER = resources.files("edge_contracts").joinpath("environment")
PRELUDE = "\n".join(_FOLDER.joinpath(part).read_text(encoding="utf-8") for part in _PARTS)

OutOfMemoryError = lua54.LuaMemoryError  # also raised by `to_lua`

# operation, then the Lua arguments as values -> (verdict, answer, gas)
Bridge = Callable[..., tuple[bytes, object, int]]


@dataclass(frozen=True, slots=True)
class Run:
    """How a call ended in the sandbox: `status` as in `ExecutionStatus`, gas, result or error."""

    status: str
    gas_used: int
    result: Value = None
    error: str = ""


def _limits() -> dict[str, int]:
    return {
        "instructions_per_tick": metering.INSTRUCTIONS_PER_TICK,
        "memory_kib": CONTRACT_MEMORY_BYTES_MAX // 1024,
        "host_gas": metering.HOST_GAS,
        "value_node_gas": metering.VALUE_NODE_GAS,
        "text_bytes_per_gas": metering.TEXT_BYTES_PER_GAS,
        "find_steps_per_gas": metering.FIND_STEPS_PER_GAS,
        "pairs_key_gas": metering.PAIRS_KEY_GAS,
        "delete_entries_per_gas": metering.DELETE_ENTRIES_PER_GAS,
        "constructor_items_max": metering.CONSTRUCTOR_ITEMS_MAX,
        "string_bytes_max": metering.STRING_BYTES_MAX,
        "format_bytes_max": metering.FORMAT_BYTES_MAX,
        "integer_key_max": metering.INTEGER_KEY_MAX,
        "unpack_max": metering.UNPACK_MAX,
        "pcall_depth_max": metering.PCALL_DEPTH_MAX,
    }


def lvm_id() -> bytes:
    """Return the contract machine's identity: nodes that differ in it must not vote together."""
    constants = {name: value for name, value in vars(metering).items() if name.isupper()}
    parts = [
        f"revision {VM_REVISION}",
        f"lupa {lupa.__version__}",
        f"lua {lua54.LUA_VERSION}",
        f"memory {CONTRACT_MEMORY_BYTES_MAX}",
        *(f"{name} {constants[name]}" for name in sorted(constants)),
        PRELUDE,
    ]
    return hashlib.sha256("\n".join(parts).encode()).digest()


def check_syntax(source: str) -> str | None:
    """Return None when Lua can compile `source`, else its message, `contract:LINE: what`."""
    state = _new_state()
    compiled = state.execute(
        b"local source, name = ... local chunk, problem = load(source, name, 't') return problem",
        source.encode(),
        _CHUNK_NAME.encode(),
        mode="t",
    )
    return None if compiled is None else compiled.decode(errors="replace")


@functools.cache
def _compile_prelude() -> bytes:
    """Return our own prelude as bytecode: compiling its text would be half of a short call."""
    chunk: bytes = _new_state().execute(
        b"return string.dump(load(..., '=prelude', 't'))", PRELUDE.encode(), mode="t"
    )
    return chunk


def _deny(_obj: object, name: object, _is_setting: bool) -> NoReturn:
    raise AttributeError(f"{name!a} is not available")


def _new_state() -> lua54.LuaRuntime:
    return lua54.LuaRuntime(
        encoding=None,
        unpack_returned_tuples=True,
        register_eval=False,
        register_builtins=False,
        attribute_filter=_deny,
        max_memory=_STATE_BYTES_MAX,
    )


@dataclass(frozen=True, slots=True)
class SandboxCall:
    """One call: translated source, what the contract sees as `call`, the `host` functions it has."""

    source: str
    method: str
    args: Value
    context: Mapping[str, Value]
    operations: tuple[str, ...]
    gas_used: int
    gas_limit: int


class Sandbox:
    """A fresh Lua state, good for one call."""

    def __init__(self) -> None:
        self._state = _new_state()

    def run(self, call: SandboxCall, bridge: Bridge) -> Run:
        """Run a call to its end; `bridge` answers the host functions and must not raise."""
        try:
            status, outcome, gas = self._start(call, bridge)
        except lua54.LuaMemoryError:
            return Run("out-of-memory", call.gas_limit)
        return self._conclude(status.decode(), outcome, gas, call.gas_limit)

    def _start(self, call: SandboxCall, bridge: Bridge) -> tuple[bytes, object, int]:
        parameters: dict[str, Value] = {
            **_limits(),
            "gas_used": call.gas_used,
            "gas_limit": call.gas_limit,
            "stored": metering.count_nodes(call.args),
            "call": dict(call.context),
            "operations": dict.fromkeys(call.operations, True),
        }
        read_memory = self._state.execute(b"return collectgarbage", mode="t")
        prelude = self._state.compile(_compile_prelude(), name=b"=prelude", mode="b")
        start = prelude(self.to_lua(parameters), bridge, read_memory)
        args = self.to_lua(call.args)
        ended: tuple[bytes, object, int] = start(call.source.encode(), call.method.encode(), args)
        return ended

    def _conclude(self, status: str, outcome: object, gas: int, gas_limit: int) -> Run:
        if status != "ok":
            error = outcome.decode(errors="replace") if isinstance(outcome, bytes) else ""
            # Where exactly memory ends is not worth a disagreement about gas.
            used = min(gas, gas_limit) if status == "aborted" else gas_limit
            return Run(status, used, error=error)
        try:
            result, cost = self.from_lua(outcome)
        except ValueFormatError as error:
            return Run("aborted", gas, error=f"the result: {error}")
        if gas + cost > gas_limit:
            return Run("out-of-gas", gas_limit)
        return Run("ok", gas + cost, result=result)

    def to_lua(self, value: Value) -> object:
        """Return a value as Lua sees it: text as bytes, arrays and maps as fresh tables."""
        match value:
            case str():
                return value.encode()
            case list():
                return self._state.table_from([self.to_lua(item) for item in value])
            case dict():
                pairs = {key.encode(): self.to_lua(item) for key, item in value.items()}
                return self._state.table_from(pairs)
            case _:
                return value

    def from_lua(self, value: object) -> tuple[Value, int]:
        """Return a Lua value and the gas its conversion costs; raise `ValueFormatError`."""
        reader = _TableReader()
        converted = reader.read(value, CONTRACT_VALUE_DEPTH_MAX)
        return converted, reader.gas


class _TableReader:
    """One walk over a Lua value: bounds entries and bytes, so that shared tables cannot explode."""

    def __init__(self) -> None:
        self._nodes = 0
        self._bytes = 0

    @property
    def gas(self) -> int:
        return self._nodes * metering.VALUE_NODE_GAS + self._bytes * metering.VALUE_BYTE_GAS

    def read(self, value: object, depth: int) -> Value:
        match value:
            case None | bool() | int():
                return value
            case bytes():
                return self._read_string(value)
            case float():
                raise ValueFormatError("a float: contracts compute with integers only")
            case _ if lua54.lua_type(value) == "table":
                return self._read_table(value, depth - 1)
            case _:
                kind = lua54.lua_type(value) or "host object"
                raise ValueFormatError(f"a {kind} cannot leave the contract")

    def _read_string(self, value: bytes) -> str | bytes:
        self._bytes += len(value)
        if self._bytes > VALUE_BYTES_MAX:
            raise ValueFormatError(f"more than {VALUE_BYTES_MAX} bytes")
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value

    def _read_table(self, table: Any, depth: int) -> list[Value] | dict[str, Value]:
        if depth < 0:
            raise ValueFormatError(f"nested deeper than {CONTRACT_VALUE_DEPTH_MAX}")
        entries: dict[object, object] = {}
        for key, item in table.items():
            self._nodes += 1
            if self._nodes > VALUE_NODES_MAX:
                raise ValueFormatError(f"more than {VALUE_NODES_MAX} entries")
            entries[key] = item
        if all(isinstance(key, int) and not isinstance(key, bool) for key in entries):
            return self._read_array(entries, depth)
        return self._read_map(entries, depth)

    def _read_array(self, entries: dict[object, object], depth: int) -> list[Value]:
        indices = range(1, len(entries) + 1)
        if any(index not in entries for index in indices):
            raise ValueFormatError("an array with holes")
        return [self.read(entries[index], depth) for index in indices]

    def _read_map(self, entries: dict[object, object], depth: int) -> dict[str, Value]:
        converted: dict[str, Value] = {}
        names = [key for key in entries if isinstance(key, bytes)]
        if len(names) != len(entries):
            raise ValueFormatError("a table with both numbers and text as keys")
        for name in sorted(names):
            key = self._read_string(name)
            if not isinstance(key, str):
                raise ValueFormatError("a map key is not text")
            converted[key] = self.read(entries[name], depth)
        return converted
