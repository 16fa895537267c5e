import pytest

from edge_contracts.errors import ContractError
from edge_contracts.program import CACHE_LEN_MAX, ProgramCache, build_program
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
