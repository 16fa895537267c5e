import pytest

from edge_contracts.bundle import bundle, describe_positions

MODULE = "local m = {}\nfunction m.f() end\nreturn m\n"
CONTRACT = "local c = {}\nerror('x')\nreturn c\n"


def line_of(source: str, text: str) -> int:
    return source.split("\n").index(text) + 1


def test_positions_are_the_authors_files_and_lines():
    source = bundle(CONTRACT, {"one": MODULE, "two": MODULE.replace("m.f", "m.g")})

    for text, place in [
        ("error('x')", "contract.lua:2"),
        ("local c = {}", "contract.lua:1"),
        ("function m.f() end", "one/module.lua:2"),
        ("function m.g() end", "two/module.lua:2"),
    ]:
        line = line_of(source, text)
        assert describe_positions(f"contract:{line}: no", source) == f"{place}: no"
        assert describe_positions(f"line {line}: no", source) == f"{place}: no"


def test_a_contract_without_modules_is_its_own_bundle():
    assert bundle(CONTRACT, {}) == CONTRACT
    assert describe_positions("contract:2: no", CONTRACT) == "contract.lua:2: no"


def test_only_the_first_position_is_replaced():
    message = "contract:2: contract:1: no"

    assert describe_positions(message, CONTRACT) == "contract.lua:2: contract:1: no"


@pytest.mark.parametrize(
    ("text", "described"),
    [
        ("contract:\u0662: no", "contract:\u0662: no"),
        ("contract:1234567: no", "contract:1234567: no"),
        ("contract:0: no", "contract.lua:0: no"),
    ],
)
def test_other_numbers_are_no_positions(text, described):
    assert describe_positions(text, CONTRACT) == described


def test_a_marker_that_is_no_file_name_is_none():
    source = f"-- file: {'x' * 81}\n-- file: a b\nreturn 1"

    assert describe_positions("contract:3: no", source) == "contract.lua:3: no"


def test_other_text_stays():
    assert describe_positions("the contract: refused", CONTRACT) == "the contract: refused"
    assert describe_positions("contract:99: far", CONTRACT) == "contract.lua:99: far"
