"""Short ways to run contract Lua in tests: in this process, or as a call for a real worker."""

import time

from edge_contracts.language.translate import translate
from edge_contracts.messages import OPERATIONS
from edge_contracts.sandbox import Bridge, Run, Sandbox, SandboxCall
from edge_contracts.values import Value, encode_value
from ledger.ports import ContractCall, ContractCode

GAS = 5_000_000
OWNER, CALLER, CONTRACT = b"\x01" * 32, b"\x02" * 32, b"\x03" * 32

MANIFEST = """
name = "trial"
version = "1.0.0"
description = "Runs one method."
[methods.run]
args = { input = "any" }
[events.noted]
value = "any"
"""


class SystemClock:
    """The real clock, for deadlines of real processes."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def is_synchronised(self) -> bool:
        return True


def refuse(operation: bytes, *_args: object) -> tuple[bytes, object, int]:
    return b"refused", b"refused " + operation, 0


def wrap(body: str) -> str:
    """Return a contract whose `run(args)` is `body`; it starts on line 2."""
    return f"local contract = {{}} function contract.run(args)\n{body}\nend return contract"


def run_body(body: str, args: Value = None, *, gas: int = GAS, bridge: Bridge = refuse) -> Run:
    return run_lua(translate(wrap(body)), args, gas=gas, bridge=bridge)


def run_lua(source: str, args: Value = None, *, gas: int = GAS, bridge: Bridge = refuse) -> Run:
    """Run Lua as it is, without translation."""
    context: dict[str, Value] = {"caller": CALLER, "deposit": 0}
    return Sandbox().run(SandboxCall(source, "run", args, context, OPERATIONS, 0, gas), bridge)


def make_call(
    source: str,
    method: str = "run",
    args: Value = None,
    *,
    manifest: str = MANIFEST,
    gas: int = GAS,
    caller: bytes = CALLER,
    deposit: int = 0,
    time_ms: int = 1_000,
    is_query: bool = False,
) -> ContractCall:
    return ContractCall(
        code=ContractCode(source, manifest),
        contract=CONTRACT,
        owner=OWNER,
        caller=caller,
        method=method,
        args=encode_value({} if args is None else args),
        deposit=deposit,
        height=7,
        time_ms=time_ms,
        gas_limit=gas,
        is_query=is_query,
    )
