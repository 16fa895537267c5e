"""Arguments of contracts on the command line: JSON with bytes and addresses, exact and bounded."""

import msgspec
import pytest
from hypothesis import given, strategies as st

from edge_contracts.values import decode_value
from gateway.cli.contracts import find_folder, parse_arguments, to_json
from gateway.errors import SettingsError
from ledger.codec.text import format_address

ADDRESS = bytes(range(32))


def test_bytes_and_addresses_have_their_forms():
    text = f'{{"a": "0x0aFF", "to": "{format_address(ADDRESS)}", "n": [1, -2, null], "t": true}}'
    with pytest.raises(SettingsError, match="nil inside an array"):
        parse_arguments(text)

    text = text.replace(", null", "")
    assert decode_value(parse_arguments(text)) == {
        "a": b"\x0a\xff",
        "to": ADDRESS,
        "n": [1, -2],
        "t": True,
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "--args is not JSON"),
        ("{", "--args is not JSON"),
        ("[" * 100_000, "--args"),
        ('{"a":' * 600 + "1" + "}" * 600, "--args"),
        ("1.5", "1.5 is not an integer"),
        ('{"a": 1e3}', "is not an integer"),
        ('"0xabc"', "--args: "),
        ('"0xzz"', "--args: "),
        ('"ssp1nonsense"', "--args: "),
        (str(2**63), "--args: "),
        ('"' + "a" * 70_000 + '"', "more than the allowed"),
    ],
)
def test_what_cannot_be_an_argument_is_one_line(text, words):
    with pytest.raises(SettingsError) as raised:
        parse_arguments(text)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=8),
    lambda inner: (
        st.dictionaries(st.text("abc", max_size=3), inner, max_size=3)
        | st.lists(inner.filter(lambda one: one is not None), max_size=3)
    ),
    max_leaves=8,
)


@given(VALUES)
def test_what_a_contract_returns_can_be_given_to_it_again(value):
    text = msgspec.json.encode(to_json(value)).decode()
    assert decode_value(parse_arguments(text)) == value


def test_a_contract_is_a_folder_or_of_the_library(tmp_path):
    assert find_folder(str(tmp_path)) == tmp_path
    assert (find_folder("settlement") / "contract.lua").is_file()
    with pytest.raises(SettingsError, match="the library has only"):
        find_folder("no-such-thing")
