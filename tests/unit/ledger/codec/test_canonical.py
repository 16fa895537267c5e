"""One value, one encoding: everything else is refused."""

from typing import Annotated

import msgspec
import pytest
from hypothesis import given, strategies as st
from msgspec import Meta

from ledger.codec import canonical
from ledger.errors import CodecError
from ledger.types.transaction import Body, Transaction, Transfer


class Point(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    number: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    name: str
    data: bytes | None


POINTS = canonical.Decoder(Point)
points = st.builds(
    Point,
    st.integers(0, 2**63 - 1),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.none() | st.binary(max_size=300),
)
GOOD = Point(5, "five", b"\x05")


@given(points)
def test_what_was_encoded_comes_back(point):
    assert POINTS.decode(canonical.encode(point)) == point


@given(points, points)
def test_different_values_have_different_bytes(first, second):
    assert (canonical.encode(first) == canonical.encode(second)) == (first == second)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc0",
        b"\x93\x05\xa4five\xc4\x01\x05\x00",
        b"\x93\xcc\x05\xa4five\xc4\x01\x05",
        b"\x93\xcd\x00\x05\xa4five\xc4\x01\x05",
        b"\x93\xcf\x00\x00\x00\x00\x00\x00\x00\x05\xa4five\xc4\x01\x05",
        b"\x93\xd0\x05\xa4five\xc4\x01\x05",
        b"\x93\x05\xd9\x04five\xc4\x01\x05",
        b"\x93\x05\xda\x00\x04five\xc4\x01\x05",
        b"\x93\x05\xa4five\xc5\x00\x01\x05",
        b"\xdc\x00\x03\x05\xa4five\xc4\x01\x05",
        b"\x94\x05\xa4five\xc4\x01\x05\x00",
        b"\x92\x05\xa4five",
        b"\x93\x05\xa4five\xa1\x05",
        b"\x93\xff\xa4five\xc4\x01\x05",
        b"\x93\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xa4five\xc4\x01\x05",
        b"\x93\xca\x40\xa0\x00\x00\xa4five\xc4\x01\x05",
        b"\x93\x05\xa4\xff\xff\xff\xff\xc4\x01\x05",
        b"\x83\xa6number\x05\xa4name\xa4five\xa4data\xc4\x01\x05",
    ],
    ids=[
        "nothing",
        "nil",
        "trailing byte",
        "uint8 for a small integer",
        "uint16 for a small integer",
        "uint64 for a small integer",
        "int8 for a small integer",
        "str8 for a short text",
        "str16 for a short text",
        "bin16 for short bytes",
        "array16 for a short list",
        "field too many",
        "field missing",
        "text for bytes",
        "negative",
        "beyond 63 bits",
        "float for an integer",
        "not UTF-8",
        "map for a struct",
    ],
)
def test_any_other_form_of_the_same_value_is_refused(data):
    assert canonical.encode(GOOD) == b"\x93\x05\xa4five\xc4\x01\x05"
    with pytest.raises(CodecError) as error:
        POINTS.decode(data)
    assert "\n" not in str(error.value)


@given(st.binary(max_size=60))
def test_any_bytes_decode_canonically_or_raise_codec_error(data):
    try:
        point = POINTS.decode(data)
    except CodecError:
        return
    assert canonical.encode(point) == data


@given(points, st.data())
def test_any_truncation_is_refused(point, data):
    encoded = canonical.encode(point)
    with pytest.raises(CodecError):
        POINTS.decode(encoded[: data.draw(st.integers(0, len(encoded) - 1))])


def test_maps_are_encoded_in_the_order_of_their_keys():
    assert canonical.encode({"b": 1, "a": 2}) == canonical.encode({"a": 2, "b": 1})


def test_a_union_is_told_apart_by_its_tag():
    bodies: canonical.Decoder[Body] = canonical.Decoder(Body)  # type: ignore[arg-type]  # a union
    data = canonical.encode(Transfer(bytes(32), 5))
    assert data[:2] == b"\x93\x01"
    assert bodies.decode(data) == Transfer(bytes(32), 5)
    with pytest.raises(CodecError):
        bodies.decode(data[:1] + b"\x63" + data[2:])


@given(st.binary(max_size=200))
def test_hostile_transactions_never_raise_anything_else(data):
    with pytest.raises(CodecError):
        canonical.Decoder(Transaction).decode(b"\x97" + data)
