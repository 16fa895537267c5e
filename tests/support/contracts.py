"""A contract executor for tests: contracts are Python methods, so that rules are tested without Lua.

The source text of a contract is `PROGRAM`. `GAS` counts for every call; a call with a smaller limit
runs out of gas before it does anything.
"""

from collections.abc import Callable

import msgspec

from ledger.codec import canonical
from ledger.errors import ExecutorError
from ledger.ports import (
    ContractCall,
    ContractCode,
    ContractHost,
    ExecutionResult,
    ExecutionStatus,
    HostRefusedError,
)

PROGRAM = ContractCode(source="python", manifest="methods = []")
GAS = 1_050

Method = Callable[[ContractCall, ContractHost], object]


class PythonContracts:
    """`ledger.ports.ContractExecutor` over the methods below; `calls` lists what was executed."""

    def __init__(self) -> None:
        self.calls: list[ContractCall] = []

    def check(self, code: ContractCode) -> str | None:
        return None if code == PROGRAM else "line 1: not a program"

    def execute(self, call: ContractCall, host: ContractHost) -> ExecutionResult:
        self.calls.append(call)
        if call.gas_limit < GAS:
            return ExecutionResult(ExecutionStatus.OUT_OF_GAS, call.gas_limit + 7)
        try:
            value = METHODS[call.method](call, host)
        except HostRefusedError as refusal:
            return ExecutionResult(ExecutionStatus.ABORTED, GAS, error=str(refusal))
        except KeyError:
            return ExecutionResult(ExecutionStatus.ABORTED, GAS, error=f"no method {call.method}")
        return ExecutionResult(ExecutionStatus.OK, GAS, result=canonical.encode(value))


def _arguments(call: ContractCall) -> list[object]:
    return msgspec.msgpack.decode(call.args, type=list[object])


def init(call: ContractCall, host: ContractHost) -> None:
    """Keep the deployer; refuse when the arguments say so."""
    if _arguments(call) == ["refuse"]:
        raise HostRefusedError("init refuses\nto start")
    host.store(b"owner", call.owner)


def keep(call: ContractCall, host: ContractHost) -> None:
    """Store a value under a key: [key, value]."""
    key, value = msgspec.convert(_arguments(call), tuple[bytes, bytes | None])
    host.store(key, value)


def read(call: ContractCall, host: ContractHost) -> bytes | None:
    """Return the value under a key: [key]."""
    (key,) = msgspec.convert(_arguments(call), tuple[bytes])
    return host.load(key)


def pay(call: ContractCall, host: ContractHost) -> int:
    """Pay out and return what is left: [to, amount]."""
    to, amount = msgspec.convert(_arguments(call), tuple[bytes, int])
    host.pay(to, amount)
    return host.balance()


def pay_and_refuse(call: ContractCall, host: ContractHost) -> None:
    """Pay, store and announce, and then refuse: nothing of it may stand."""
    pay(call, host)
    host.store(b"paid", b"yes")
    host.emit("paid", b"\x90")
    raise HostRefusedError("changed its mind")


def announce(call: ContractCall, host: ContractHost) -> None:
    """Emit an event: [name]."""
    (name,) = msgspec.convert(_arguments(call), tuple[str])
    host.emit(name, canonical.encode([call.deposit]))


def shout(call: ContractCall, host: ContractHost) -> bytes:
    """Emit events with data of these sizes and return some bytes: [sizes, count]."""
    sizes, count = msgspec.convert(_arguments(call), tuple[list[int], int])
    for size in sizes:
        host.emit("shout", bytes(size))
    return bytes(count)


def record(call: ContractCall, host: ContractHost) -> int:
    """Return the sequence of an anchored reading: [proof]."""
    (proof,) = msgspec.convert(_arguments(call), tuple[bytes])
    return host.anchored_reading(proof).sequence


def talk(call: ContractCall, host: ContractHost) -> bytes:
    """Return as many bytes as asked: [count]."""
    (count,) = msgspec.convert(_arguments(call), tuple[int])
    return bytes(count)


def stumble(call: ContractCall, host: ContractHost) -> None:
    """Fail as a bug in an executor does."""
    raise ValueError("integer string conversion")


def crash(call: ContractCall, host: ContractHost) -> None:
    """Fail as a worker that was killed does."""
    raise ExecutorError("worker 4711 was killed")


METHODS: dict[str, Method] = {
    method.__name__: method
    for method in (
        init,
        keep,
        read,
        pay,
        pay_and_refuse,
        announce,
        shout,
        record,
        talk,
        stumble,
        crash,
    )
}
