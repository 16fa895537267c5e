"""The short way through a message gives what the long way gives, or nothing."""

import json
from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from gateway.model.observation import Measured
from gateway.profiles.json_payload import JsonDecoder
from gateway.profiles.json_shape import PAYLOAD_BYTES_MAX, JsonShape
from gateway.profiles.library import ProfileLibrary
from gateway.profiles.rounding import Rounder

PROFILE = ProfileLibrary(None).get("json-energy")
DECODER = JsonDecoder(PROFILE, "meter")
SHAPE = DECODER._shape
PLAIN = (
    b'{"time":1700000000,"power_active_total":1234.5,"energy_import_total":4321.125}',
    b'{"power_active_total": -0.5}',
    b' { "energy_import_total" : 7 , "time" : 1700000000.25 } ',
    b'{"energy_export_total":0,"time":"2026-01-31T12:00:00.250Z"}',
    b'{"\\u0074ime":1700000000,"power_active_total":0.0}',
    b'{"power_active_total":99999999999999999999}',  # out of range: no value
)
OTHER = (
    b"",
    b"[]",
    b"{}",
    b'{"time":1700000000}',
    b'{"power_active_total":1,"power_active_total":2}',
    b'{"power_active_total":1,"power_\\u0061ctive_total":2}',
    b'{"power_active_total":1,"other":2}',
    b'{"power_active_total":1,"other":"\\""}',
    b'{"power_active_total":1,"":2}',
    b'{"power_active_total":null}',
    b'{"power_active_total":true}',
    b'{"power_active_total":"1"}',
    b'{"power_active_total":[1]}',
    b'{"power_active_total":{"a":1}}',
    b'{"power_active_total":1e3}',
    b'{"power_active_total":NaN}',
    b'{"power_active_total":01}',
    b'{"power_active_total":1_0}',
    b'{"power_active_total":1} x',
    b'{"power_active_total":0.00005}',  # below the profile's digits: it is rounded the long way
    b'{"power_active_total":1,"time":0}',
    b'{"power_active_total":1,"time":-1}',
    b'{"power_active_total":1,"time":1e9}',
    b'{"power_active_total":1,"time":"yesterday"}',
    b'{"power_active_total":1,"time":"2026-01-31T12:00:00"}',
    b'{"power_active_total":1,"time":"2026-01-31T12:00:00\\u005a"}',
    b'{"power_active_total":1,"time":"\xff"}',
    b'{"power_active_total":1' + b" " * PAYLOAD_BYTES_MAX + b"}",
)


@pytest.mark.parametrize("payload", PLAIN)
def test_a_message_of_the_shape_is_decoded_as_by_the_long_way(payload):
    assert SHAPE is not None
    measured = SHAPE.decode(payload)
    assert isinstance(measured, Measured)
    assert measured == DECODER.decode_any(payload)


@pytest.mark.parametrize("payload", OTHER)
def test_any_other_message_is_left_to_the_long_way(payload):
    assert SHAPE is not None
    assert SHAPE.decode(payload) is None


KEYS = st.sampled_from(
    ["time", "power_active_total", "energy_import_total", "energy_export_total", "other", 'qu"ote']
)
NUMBERS = st.one_of(
    st.integers(-(10**22), 10**22).map(str),
    st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**9)).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(json.dumps),
)
TEXTS = st.one_of(
    NUMBERS,
    st.sampled_from(
        ["null", "true", '"2026-01-31T12:00:00Z"', '"1"', "[1]", '{"a":1}', "-0", "1."]
    ),
    st.text(max_size=5).map(json.dumps),
)


@given(st.lists(st.tuples(KEYS, TEXTS), max_size=6), st.sampled_from(["", " ", "\n\t"]))
def test_whatever_the_short_way_answers_is_the_answer_of_the_long_way(pairs, space):
    members = (f"{space}{json.dumps(key)}{space}:{space}{text}" for key, text in pairs)
    payload = ("{" + ",".join(members) + space + "}").encode()
    assert SHAPE is not None
    measured = SHAPE.decode(payload)
    if measured is not None:
        assert measured == DECODER.decode_any(payload)


@given(st.binary(max_size=60), st.integers(0, 80))
def test_no_bytes_make_the_short_way_raise_or_differ(noise, place):
    assert SHAPE is not None
    payload = PLAIN[0][:place] + noise + PLAIN[0][place:]
    measured = SHAPE.decode(payload)
    if measured is not None:
        assert measured == DECODER.decode_any(payload)


def rounder(power: int) -> Rounder:
    return Rounder("q", "W", -3, power, -(2**62), 2**62)


@pytest.mark.parametrize("key", ["a.b", 'a"b', "a\\b", "a b", "a\n"])
def test_nested_and_unusual_keys_have_no_short_way(key):
    assert JsonShape.of((key,), (rounder(3),), None) is None
    assert JsonShape.of(("a", "a"), (rounder(3),) * 2, None) is None
    assert JsonShape.of(("a",), (rounder(3),), "a") is None


@pytest.mark.parametrize("power", range(-36, 37, 6))
def test_every_power_of_a_profile_is_exact_or_left_alone(power):
    shape = JsonShape.of(("a",), (rounder(power),), None)
    assert shape is not None
    for text in ("0", "1", "-12.5", "123456.789"):
        measured = shape.decode(b'{"a":%b}' % text.encode())
        if measured is not None:
            assert measured.quantities[0] == rounder(power).from_decimal(Decimal(text))
