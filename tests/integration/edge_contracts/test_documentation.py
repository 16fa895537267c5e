"""docs/CONTRACTS.md: its example runs, its tables are true."""

import re
from pathlib import Path

import pytest

from edge_contracts import metering
from edge_contracts.check import check_contract_folder
from edge_contracts.executor import WorkerExecutor
from edge_contracts.testing import run_contract_tests
from tests.support.contract_calls import SystemClock, run_body

pytestmark = pytest.mark.integration

TEXT = (Path(__file__).parents[3] / "docs/CONTRACTS.md").read_text()


def test_the_example_can_be_checked_and_tested(tmp_path):
    folder = tmp_path / "greeter"
    folder.mkdir()
    (manifest,) = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    contract, test = re.findall(r"```lua\n(.*?)```", TEXT, re.DOTALL)
    (folder / "manifest.toml").write_text(manifest)
    (folder / "contract.lua").write_text(contract)
    (folder / "test.lua").write_text(test)

    with WorkerExecutor(SystemClock()) as executor:
        assert check_contract_folder(folder, executor) == []
    report = run_contract_tests(folder, SystemClock())

    assert report.has_passed, report
    assert len(report.cases) == 2


def test_the_gas_table_is_complete_and_true():
    table = {
        name: int(value)
        for name, value in re.findall(r"^\| `(\w+)` \| (\d+) \|", TEXT, re.MULTILINE)
    }
    costs = {
        name: value
        for name, value in vars(metering).items()
        if name.endswith(("_GAS", "_TICK", "_PER_GAS"))
    }

    assert table == costs


@pytest.mark.parametrize("library", ["string", "table", "math", "host"])
def test_the_functions_of_the_environment_are_documented(library):
    run = run_body(f"local s = '' for k in pairs({library}) do s = s .. k .. ' ' end return s")
    rows = [
        line for line in TEXT.splitlines() if line.startswith((f"| `{library}", f"| `{library}."))
    ]

    for name in str(run.result).split():
        assert re.search(rf"\b{name}\b", " ".join(rows)), f"{library}.{name} is not documented"
