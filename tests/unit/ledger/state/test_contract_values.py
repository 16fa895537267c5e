"""Which bytes are canonical plain values, the same verdict on every node."""

import msgspec
import pytest
from hypothesis import given, strategies as st

from ledger.codec import canonical
from ledger.params import CONTRACT_VALUE_DEPTH_MAX
from ledger.state.contract_values import is_contract_value

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
    | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(plain)
def test_the_canonical_encoding_of_plain_values_is_accepted(value):
    assert is_contract_value(canonical.encode(value))


@given(plain, st.binary(min_size=1, max_size=2))
def test_trailing_bytes_are_refused(value, tail):
    assert not is_contract_value(canonical.encode(value) + tail)


@given(st.binary(max_size=40))
def test_any_bytes_get_a_verdict_and_what_is_accepted_is_canonical(data):
    if is_contract_value(data):
        assert canonical.encode(msgspec.msgpack.decode(data)) == data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xcc\x01",
        b"\xcd\x00\xff",
        b"\xd9\x01a",
        b"\xdc\x00\x00",
        b"\xcf" + b"\xff" * 8,
        b"\xca" + bytes(4),
        b"\xcb" + bytes(8),
        b"\xd6\xff" + bytes(4),
        b"\xc7\x01\x05a",
        b"\x81\x01\x02",
        b"\x82\x01\x02\xa1a\x03",
        b"\x81\x91\x01\x02",
        b"\x82\xa1b\x01\xa1a\x02",
        b"\x82\xa1a\x01\xa1a\x01",
        b"\xa1\xff",
        b"\xc1",
    ],
    ids=[
        "nothing",
        "integer of two bytes",
        "integer of three bytes",
        "text with a length byte",
        "list with a long length",
        "beyond 63 bits",
        "float 32",
        "float 64",
        "timestamp",
        "extension",
        "integer map key",
        "map keys of two types",
        "list as map key",
        "map out of order",
        "map key twice",
        "not UTF-8",
        "reserved byte",
    ],
)
def test_everything_else_is_refused(data):
    assert not is_contract_value(data)


@pytest.mark.parametrize("opening", [b"\x91", b"\x81\xa1a"], ids=["lists", "maps"])
def test_depth_has_a_fixed_limit_far_from_the_stacks(opening):
    assert is_contract_value(opening * CONTRACT_VALUE_DEPTH_MAX + b"\xc0")
    for depth in (CONTRACT_VALUE_DEPTH_MAX + 1, 500, 20_000):
        assert not is_contract_value(opening * depth + b"\xc0")
