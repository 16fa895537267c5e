import msgspec
import pytest
from hypothesis import given, strategies as st

from edge_contracts.errors import ValueFormatError
from edge_contracts.values import VALUE_NODES_MAX, decode_value, encode_value

values = st.recursive(
    st.booleans()
    | st.integers(min_value=-(2**63), max_value=2**63 - 1)
    | st.text(max_size=8)
    | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=12,
)


@given(values)
def test_a_value_has_one_encoding_and_comes_back(value):
    data = encode_value(value)

    assert decode_value(data) == value
    assert encode_value(decode_value(data)) == data


def test_map_keys_are_sorted():
    assert encode_value({"b": 1, "a": 2}) == b"\x82\xa1a\x02\xa1b\x01"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x82\xa1b\x01\xa1a\x02", "canonical"),  # keys not sorted
        (b"\x82\xa1a\x01\xa1a\x02", "canonical"),  # a key twice
        (b"\xd0\x01", "canonical"),  # 1 in two bytes
        (b"\xd9\x01a", "canonical"),  # text with a long length
        (b"\xcb" + bytes(8), "float"),
        (b"\xca" + bytes(4), "float"),
        (b"\x81\x01\x01", "key is not text"),
        (b"\xcf" + b"\xff" * 8, "64 bits"),
        (b"\xd6\xff" + bytes(4), "datetime"),
        (b"\xd4\x05\x00", "not a contract value"),
        (b"\x01\x01", "not MessagePack"),
        (b"", "not MessagePack"),
        (b"\x91", "not MessagePack"),
        (b"\xa1\xff", "not MessagePack"),
        (b"\x91\xc0", "nil inside an array"),
        (b"\x91" * 17 + b"\x01", "nested deeper"),
        (b"\x91" * 5_000 + b"\x01", "nested deeper|not MessagePack"),
    ],
)
def test_other_bytes_are_refused(data, reason):
    with pytest.raises(ValueFormatError, match=reason):
        decode_value(data)


def test_size_entries_and_text_are_limited():
    with pytest.raises(ValueFormatError, match="more than the allowed 10"):
        encode_value("x" * 20, bytes_max=10)
    with pytest.raises(ValueFormatError, match="more than the allowed 10"):
        decode_value(msgspec.msgpack.encode("x" * 20), bytes_max=10)
    with pytest.raises(ValueFormatError, match="entries"):
        encode_value([1] * (VALUE_NODES_MAX + 1))
    with pytest.raises(ValueFormatError, match="Unicode"):
        encode_value("\ud800")
    with pytest.raises(ValueFormatError, match="64 bits"):
        encode_value(2**63)
