import pytest

from edge_contracts import program
from edge_contracts.errors import ContractError
from edge_contracts.metering import SOURCE_WORDS_MAX
from edge_contracts.program import CACHE_LEN_MAX, ProgramCache, build_program
from ledger.errors import ExecutorError
from ledger.ports import ContractCode
from tests.support.contract_calls import MANIFEST, wrap


def test_a_program_is_built_once():
    cache = ProgramCache()
    code = ContractCode(wrap("return 1"), MANIFEST)

    assert cache.get(code) is cache.get(ContractCode(wrap("return 1"), MANIFEST))


def test_the_cache_forgets_what_was_used_longest_ago():
    cache = ProgramCache()
    first = ContractCode(wrap("return 0"), MANIFEST)
    kept = cache.get(first)
    for number in range(1, CACHE_LEN_MAX):
        cache.get(ContractCode(wrap(f"return {number}"), MANIFEST))

    assert cache.get(first) is kept
    for number in range(CACHE_LEN_MAX, 2 * CACHE_LEN_MAX):
        cache.get(ContractCode(wrap(f"return {number}"), MANIFEST))
    assert cache.get(first) is not kept


def test_the_cache_is_bounded_in_bytes(monkeypatch):
    monkeypatch.setattr(program, "CACHE_BYTES_MAX", 100_000)
    cache = ProgramCache()
    codes = [ContractCode(f"--{'x' * 30_000}\nreturn {n}", MANIFEST) for n in range(5)]
    for code in codes:
        cache.get(code)

    kept = [cache.find(code) is not None for code in codes]
    assert kept == [False, False, True, True, True]


def test_a_source_has_a_largest_number_of_words():
    dense = "local a = 0 " + "a=a;" * (SOURCE_WORDS_MAX // 4)

    with pytest.raises(ContractError, match="more than 20000 words and signs"):
        build_program(ContractCode(dense, MANIFEST))
    assert build_program(ContractCode(dense[:-40], MANIFEST)).words_gas > 1_900_000


def test_a_fault_of_the_parser_is_a_refusal_and_is_logged(monkeypatch, caplog):
    def fail(_source: str) -> str:
        raise IndexError("secret detail")

    monkeypatch.setattr(program, "translate", fail)

    with pytest.raises(ContractError, match=r"^the code cannot be parsed$"):
        build_program(ContractCode("return {}", MANIFEST))
    assert "IndexError" in caplog.text


@pytest.mark.parametrize("fault", [MemoryError, RecursionError])
def test_limits_of_this_machine_decide_nothing(monkeypatch, fault):
    def fail(_source: str) -> str:
        raise fault

    monkeypatch.setattr(program, "translate", fail)

    with pytest.raises(ExecutorError, match=fault.__name__):
        build_program(ContractCode("return {}", MANIFEST))


@pytest.mark.parametrize(
    ("source", "manifest", "reason"),
    [
        ("return 1.5", MANIFEST, "contract.lua:1: contracts have whole numbers only"),
        ("return {}", "name = 1", "name: expected"),
    ],
)
def test_faults_name_file_and_line_or_key(source, manifest, reason):
    with pytest.raises(ContractError, match=reason):
        build_program(ContractCode(source, manifest))
