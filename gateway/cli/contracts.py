"""`contract check|test|deploy|call|query`: edge contracts from a folder to the chain."""

import argparse
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from edge_contracts.check import check_contract_folder
from edge_contracts.errors import ContractError, ValueFormatError
from edge_contracts.executor import WorkerExecutor
from edge_contracts.library import library_names, load_contract_folder
from edge_contracts.testing import run_contract_tests
from edge_contracts.values import Value, decode_value, encode_value
from gateway.app.amounts import format_ssp, parse_ssp
from gateway.app.operator import Operator, check_applied
from gateway.app.wallet import WalletAccount
from gateway.cli.output import emit, home_of
from gateway.clock import SystemClock
from gateway.errors import GatewayError, SettingsError
from gateway.model.ledger_api import QueryReply
from ledger.codec.text import format_address, parse_address
from ledger.crypto.domains import contract_address
from ledger.errors import CodecError
from ledger.params import CONTRACT_CALL_GAS_MAX
from ledger.types.transaction import CallContract, DeployContract


def parse_arguments(text: str) -> bytes:
    """Return a method's encoded arguments of JSON text: `0x...` and `ssp1...` texts are bytes."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise SettingsError(f"--args is not JSON: {error}") from None
    try:
        return encode_value(_to_value(value))
    except (CodecError, ValueFormatError, ValueError) as error:
        raise SettingsError(f"--args: {error}") from None
    except RecursionError:
        raise SettingsError("--args: nested too deeply") from None


def _to_value(value: Any) -> Value:
    match value:
        case str() if value.startswith("0x"):
            return bytes.fromhex(value[2:])
        case str() if value.startswith("ssp1"):
            return parse_address(value)
        case float():
            raise SettingsError(f"--args: {value} is not an integer: contracts know no fractions")
        case list():
            return [_to_value(item) for item in value]
        case dict():
            return {key: _to_value(item) for key, item in value.items()}
        case None | bool() | int() | str():
            return value
        case _:
            raise SettingsError(f"--args: {value!r} cannot be an argument")


def to_json(value: Value) -> object:
    """Return a contract value for JSON: bytes as `0x...` text."""
    match value:
        case bytes():
            return "0x" + value.hex()
        case list():
            return [to_json(item) for item in value]
        case dict():
            return {key: to_json(item) for key, item in value.items()}
        case _:
            return value


def find_folder(name: str) -> Path:
    """Return the folder of a contract: a path, or the name of one in the library."""
    path = Path(name)
    if path.is_dir():
        return path
    if name in library_names():
        return Path(str(resources.files("edge_contracts") / "library" / name))
    raise SettingsError(
        f"{name}: no such folder, and the library has only {', '.join(library_names())}"
    )


def check(options: argparse.Namespace) -> int:
    """Check a contract folder by the rules of the chain."""
    folder = find_folder(options.folder)
    with WorkerExecutor(SystemClock()) as executor:
        problems = check_contract_folder(folder, executor)
    emit(
        options,
        {"folder": str(folder), "problems": problems},
        "\n".join(problems) or f"{folder} can be deployed",
    )
    return 1 if problems else 0


def test(options: argparse.Namespace) -> int:
    """Run a contract folder's test.lua in the sandbox."""
    report = run_contract_tests(find_folder(options.folder), SystemClock())
    lines = [
        f"FAILED  {case.name}\n        {case.error}" if case.error else f"passed  {case.name}"
        for case in report.cases
    ]
    failed = sum(bool(case.error) for case in report.cases)
    lines.append(f"{len(report.cases) - failed} passed, {failed} failed")
    if report.error:
        lines.append(report.error)
    emit(options, report, "\n".join(lines))
    return 0 if report.has_passed else 1


def deploy(options: argparse.Namespace) -> int:
    """Create a contract on the chain; its owner is the node's wallet."""
    home = home_of(options)
    try:
        code = load_contract_folder(find_folder(options.folder))
    except ContractError as error:
        raise SettingsError(f"{options.folder}: {error}") from None
    args = parse_arguments(options.args)
    body = DeployContract(code.source, code.manifest, args, CONTRACT_CALL_GAS_MAX)
    with Operator(home) as operator:
        transaction_id, sender, nonce = WalletAccount(home, operator).send(body)
        reply = operator.wait_final(transaction_id)
    check_applied(transaction_id, reply)
    address = format_address(contract_address(sender, nonce))
    emit(
        options,
        {"contract": address, "id": transaction_id, "height": reply.height},
        f"{address}\ndeployed in block {reply.height}, fee {format_ssp(reply.fee_paid)} SSP",
    )
    return 0


def call(options: argparse.Namespace) -> int:
    """Call a contract's method from the node's wallet."""
    home = home_of(options)
    body = CallContract(
        parse_address(options.contract),
        options.method,
        parse_arguments(options.args),
        parse_ssp(options.deposit),
        CONTRACT_CALL_GAS_MAX,
    )
    with Operator(home) as operator:
        transaction_id, _, _ = WalletAccount(home, operator).send(body)
        reply = operator.wait_final(transaction_id)
    check_applied(transaction_id, reply)
    result = to_json(decode_value(bytes.fromhex(reply.result))) if reply.result else None
    emit(
        options,
        {"id": transaction_id, "height": reply.height, "result": result},
        f"final in block {reply.height}, fee {format_ssp(reply.fee_paid)} SSP, id {transaction_id}"
        + (f"\n{_pretty(result)}" if result is not None else ""),
    )
    return 0


def query(options: argparse.Namespace) -> int:
    """Ask a contract without changing anything."""
    body = {
        "contract": parse_address(options.contract).hex(),
        "method": options.method,
        "args": parse_arguments(options.args).hex(),
    }
    with Operator(home_of(options)) as operator:
        reply = operator.ask("query", body, QueryReply)
    if not reply.ok:
        raise GatewayError(f"{options.method}: {reply.refusal}")
    result = to_json(decode_value(bytes.fromhex(reply.result)))
    emit(options, result, _pretty(result))
    return 0


def _pretty(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
