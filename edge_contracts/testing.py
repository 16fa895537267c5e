"""Runs a contract folder's test.lua: the script in one worker, the contract in another.

The chain that the script sees is a plain one in memory: storage, payments and readings that need no
anchor. The contract itself runs exactly as it would on the ledger.
"""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from edge_contracts.bundle import describe_positions
from edge_contracts.errors import ContractError, SourceError
from edge_contracts.executor import WorkerExecutor
from edge_contracts.language.translate import translate
from edge_contracts.library import TEST_FILE, load_contract_folder, read_file
from edge_contracts.messages import TEST_OPERATIONS, RunCall
from edge_contracts.script_desk import CaseReport, ScriptDesk
from edge_contracts.values import encode_value
from edge_contracts.worker_process import WorkerProcess
from ledger.params import CONTRACT_QUERY_GAS_MAX
from ledger.ports import Clock

_LIBRARY = resources.files("edge_contracts").joinpath("testing.lua").read_text(encoding="utf-8")
_EMPTY_MAP = encode_value({})


@dataclass(frozen=True, slots=True)
class ContractTestReport:
    """All cases of a test.lua; `error` says why the script could not run to its end."""

    cases: tuple[CaseReport, ...]
    error: str = ""

    @property
    def has_passed(self) -> bool:
        """Whether there were cases and all of them passed."""
        return bool(self.cases) and not self.error and not any(case.error for case in self.cases)


def run_contract_tests(folder: Path, clock: Clock) -> ContractTestReport:
    """Run a contract folder's test.lua and report every case.

    Raises `ledger.errors.ExecutorError` when a worker fails.
    """
    try:
        code = load_contract_folder(folder)
        script = _wrap_script(read_file(folder, TEST_FILE))
        source = _translate(script)
    except ContractError as error:
        return ContractTestReport((), str(error))
    run = RunCall(
        source=source,
        method="run",
        args=_EMPTY_MAP,
        context=_EMPTY_MAP,
        operations=TEST_OPERATIONS,
        gas_used=0,
        gas_limit=CONTRACT_QUERY_GAS_MAX,
    )
    worker = WorkerProcess(clock)
    with WorkerExecutor(clock) as executor:
        if fault := executor.check(code):
            return ContractTestReport((), fault)
        desk = ScriptDesk(code, executor, script)
        try:
            ended = worker.run(run, desk.serve)
        finally:
            worker.close()
    problem = "" if ended.status == "ok" else ended.error or ended.status
    return ContractTestReport(tuple(desk.cases), describe_positions(problem, script))


def _wrap_script(script: str) -> str:
    return "\n".join(
        (
            "local script = {}",
            "-- file: testing.lua",
            "local test = (function()",
            _LIBRARY.rstrip("\n"),
            "end)()",
            f"-- file: {TEST_FILE}",
            "function script.run()",
            script,
            "end",
            "return script",
        )
    )


def _translate(script: str) -> str:
    try:
        return translate(script)
    except SourceError as error:
        raise ContractError(describe_positions(str(error), script)) from None
