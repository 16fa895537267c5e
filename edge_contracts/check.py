"""Checks a contract folder before it is tested or deployed, by the rules of the chain."""

from pathlib import Path

from edge_contracts.errors import ContractError, ManifestError
from edge_contracts.executor import WorkerExecutor
from edge_contracts.library import (
    MANIFEST_FILE,
    TEST_FILE,
    load_contract_folder,
    read_file,
)
from edge_contracts.manifest import Manifest, parse_manifest
from ledger.params import CONTRACT_CODE_BYTES_MAX
from ledger.ports import ContractCode


def check_contract_folder(folder: Path, executor: WorkerExecutor) -> list[str]:
    """Return what is wrong with a contract folder, one line each; empty when it can be deployed."""
    try:
        manifest = parse_manifest(read_file(folder, MANIFEST_FILE))
        code = load_contract_folder(folder)
    except ManifestError as error:
        hint = f" ({error.hint})" if error.hint else ""
        return [f"{MANIFEST_FILE}: {error}{hint}"]
    except ContractError as error:
        return [str(error)]
    return [*_check_code(code, executor), *_check_folder(folder, manifest)]


def _check_code(code: ContractCode, executor: WorkerExecutor) -> list[str]:
    size = len(code.source.encode())
    if size > CONTRACT_CODE_BYTES_MAX:
        return [f"contract.lua: {size} bytes with its modules; at most {CONTRACT_CODE_BYTES_MAX}"]
    fault = executor.check(code)
    return [] if fault is None else [fault]


def _check_folder(folder: Path, manifest: Manifest) -> list[str]:
    problems = []
    if folder.resolve().name != manifest.name:
        problems.append(f"{MANIFEST_FILE}: name: '{manifest.name}' is not the folder's name")
    if not (folder / TEST_FILE).is_file():
        problems.append(f"{TEST_FILE}: missing; a contract that holds money needs tests")
    return problems
