"""The library's contracts: their own tests, a settlement by hand, and what tests report."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_contracts.check import check_contract_folder
from edge_contracts.executor import WorkerExecutor
from edge_contracts.library import library_names, load_library_contract
from edge_contracts.memory_host import MemoryHost
from edge_contracts.testing import run_contract_tests
from edge_contracts.values import Value, decode_value, encode_value
from ledger.params import CONTRACT_CALL_GAS_MAX
from ledger.ports import ExecutionStatus
from tests.support.contract_calls import SystemClock, make_call

pytestmark = pytest.mark.integration

LIBRARY = Path(__file__).parents[3] / "edge_contracts/library"
DEVICE, PROVIDER, CONSUMER = b"\xdd" * 32, b"\xaa" * 32, b"\xbb" * 32
OPENED_MS = 1_767_225_600_000
MINUTE_MS = 60_000


@pytest.fixture(scope="module")
def executor() -> Iterator[WorkerExecutor]:
    with WorkerExecutor(SystemClock()) as running:
        yield running


@pytest.mark.parametrize("name", library_names())
def test_a_library_contract_passes_its_own_tests(executor, name):
    assert check_contract_folder(LIBRARY / name, executor) == []

    report = run_contract_tests(LIBRARY / name, SystemClock())

    assert [case for case in report.cases if case.error] == []
    assert report.error == ""
    assert report.has_passed
    assert len(report.cases) >= 19


def proof(sequence: int, minutes: int, value: int) -> Value:
    return encode_value({
        "device": DEVICE,
        "sequence": sequence,
        "time_ms": OPENED_MS + minutes * MINUTE_MS,
        "quantities": {"energy_import_total": {"value": value, "scale": 0, "unit": "Wh"}},
    })  # fmt: skip


TERMS: Value = {
    "provider": PROVIDER,
    "device": DEVICE,
    "quantity": "energy_import_total",
    "unit": "Wh",
    "gap_max_ms": 30 * MINUTE_MS,
    "clocks": ["synchronised"],
    "tariff": {
        "name": "flat",
        "fixed": 100,
        "utc_offset_minutes": 0,
        "zones": [{"name": "all day", "from_minute": 0, "to_minute": 1440, "price": 1_000}],
    },
}


class Market:
    """One deployed settlement contract and its chain."""

    def __init__(self, executor: WorkerExecutor) -> None:
        self._executor = executor
        self._code = load_library_contract("settlement")
        self.host = MemoryHost()
        self.call("init", TERMS, PROVIDER)

    def call(self, method: str, args: Value, caller: bytes, deposit: int = 0, **options) -> Value:
        self.host.held += deposit
        call = make_call(
            self._code.source,
            method,
            args,
            manifest=self._code.manifest,
            caller=caller,
            deposit=deposit,
            time_ms=OPENED_MS,
            **options,
        )
        result = self._executor.execute(call, self.host)
        assert result.status is ExecutionStatus.OK, result
        self.gas_used = result.gas_used
        return decode_value(result.result)


def test_a_session_from_deposit_to_payment(executor):
    market = Market(executor)
    market.call("open", {"session": "car 7"}, CONSUMER, deposit=50_000)
    proofs = [proof(1, 1, 20_000), proof(2, 11, 21_500), proof(3, 21, 24_321)]

    recorded = market.call("record", {"session": "car 7", "proofs": proofs}, b"\xcc" * 32)
    settled = market.call("settle", {"session": "car 7"}, PROVIDER)
    bill = market.call("bill", {"session": "car 7"}, CONSUMER, is_query=True)

    assert recorded == {"recorded": 3, "ignored": 0, "state": "open"}
    # 4321 Wh at 1000 a kWh = 4321; 100 fixed.
    assert settled == {
        "session": "car 7", "total": 4_421, "paid": 4_421, "returned": 45_579, "unpaid": 0,
    }  # fmt: skip
    assert isinstance(bill, dict)
    assert bill["lines"] == [
        {"zone": "all day", "energy": 4_321, "scale": 0, "unit": "Wh", "price": 1_000, "amount": 4_321}
    ]  # fmt: skip
    assert bill["consumer"] == CONSUMER
    assert market.host.paid == {PROVIDER: 4_421, CONSUMER: 45_579}
    assert market.host.held == 0
    names = [name for name, _ in market.host.events]
    assert names == ["opened", "recorded", "settled"]


def test_the_most_readings_a_call_takes_fit_into_its_gas(executor):
    market = Market(executor)
    market.call("open", {"session": "s"}, CONSUMER, deposit=10**9)
    proofs: list[Value] = [proof(n, n, n * 10) for n in range(1, 65)]

    market.call("record", {"session": "s", "proofs": proofs}, CONSUMER)

    assert market.gas_used < CONTRACT_CALL_GAS_MAX // 2


def write_contract(folder: Path, contract: str, test: str) -> Path:
    folder.mkdir()
    (folder / "manifest.toml").write_text(
        f'name = "{folder.name}"\nversion = "1.0.0"\ndescription = "x"\n[methods.run]\n'
    )
    (folder / "contract.lua").write_text(contract)
    (folder / "test.lua").write_text(test)
    return folder


GOOD = "local c = {}\nfunction c.run()\n  return 5\nend\nreturn c\n"


@pytest.mark.parametrize(
    ("test", "error"),
    [
        ("test.case('a', function()\n  test.equal(1, 2, 'x')\nend)", "test.lua:2: x: expected 2, got 1"),
        ("test.case('a', function() error('no', 0) end)", "no"),
        ("test.case('a', function() error({}) end)", "raised a table"),
        (
            "test.case('a', function()\n\n  test.succeeded(test.call({method = 'none'})) end)",
            "test.lua:3: the call failed: no method 'none'",
        ),
        (
            "test.case('a', function() test.refused(test.call({method = 'run'}), 'x') end)",
            "test.lua:1: the call succeeded; it should have been refused: x",
        ),
    ],
)  # fmt: skip
def test_a_failing_case_is_reported_with_its_line(tmp_path, test, error):
    report = run_contract_tests(write_contract(tmp_path / "shop", GOOD, test), SystemClock())

    assert [case.error for case in report.cases] == [error]
    assert not report.has_passed


@pytest.mark.parametrize(
    ("contract", "test", "error"),
    [
        (GOOD, "local x = 1 / 2", "test.lua:1: '/' makes floats"),
        (GOOD, "\nerror('stop')", "test.lua:2: stop"),
        (GOOD, "while true do end", "out-of-gas"),
        (GOOD, "host.test('rob', 1)", "no test function 'rob'"),
        (GOOD, "host.test(nil)", "is not text"),
        (GOOD, "host.get('k')", "attempt to call a nil value"),
        ("return {}", "", "methods.run: the contract has no function 'run'"),
        ("local a = 1.5", "", "contract.lua:1: contracts have whole numbers"),
    ],
)
def test_a_script_that_cannot_run_says_why(tmp_path, contract, test, error):
    report = run_contract_tests(write_contract(tmp_path / "shop", contract, test), SystemClock())

    assert error in report.error
    assert not report.has_passed


def test_a_script_without_cases_has_not_passed(tmp_path):
    report = run_contract_tests(write_contract(tmp_path / "shop", GOOD, ""), SystemClock())

    assert report.error == ""
    assert not report.has_passed


def test_checking_a_folder_names_what_is_wrong(tmp_path, executor):
    folder = write_contract(tmp_path / "shop", GOOD, "")
    assert check_contract_folder(folder, executor) == []

    (folder / "test.lua").unlink()
    assert check_contract_folder(folder, executor) == [
        "test.lua: missing; a contract that holds money needs tests"
    ]
    (folder / "contract.lua").write_text("local c = {}\n\nfunction c.run( return c")
    assert check_contract_folder(folder, executor)[0].startswith("contract.lua:3: ")
    (folder / "manifest.toml").write_text("name = ")
    (fault,) = check_contract_folder(folder, executor)
    assert fault.startswith("manifest.toml: manifest: not valid TOML (")
    assert check_contract_folder(tmp_path / "none", executor) == [
        "manifest.toml: No such file or directory"
    ]


def test_a_folder_carries_its_contracts_name(tmp_path, executor):
    folder = write_contract(tmp_path / "shop", GOOD, "").rename(tmp_path / "store")

    assert check_contract_folder(folder, executor) == [
        "manifest.toml: name: 'shop' is not the folder's name"
    ]
