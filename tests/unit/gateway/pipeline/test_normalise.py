from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, strategies as st

from gateway.errors import Rejected, RejectReason
from gateway.pipeline.normalise import DeviceState, format_decimal, format_state, parse_state
from ledger.types.reading import ClockStatus, Quantity, Reading

INT64 = st.integers(-(2**63), 2**63 - 1)
SCALE = st.integers(-18, 18)


def reading(*quantities: Quantity, time_ms: int = 1_772_366_400_250) -> Reading:
    return Reading(
        bytes(32), 7, bytes(32), None, time_ms, ClockStatus.SYNCHRONISED, quantities, bytes(16)
    )


@pytest.mark.parametrize(
    ("value", "scale", "text"),
    [
        (2301, -1, "230.1"),
        (2300, -1, "230.0"),
        (-5, -3, "-0.005"),
        (0, -2, "0.00"),
        (12, 0, "12"),
        (12, 3, "12000"),
        (-(2**63), -18, "-9.223372036854775808"),
    ],
)
def test_decimal_text(value: int, scale: int, text: str):
    assert format_decimal(value, scale) == text


@given(INT64, SCALE)
def test_decimal_text_is_exact(value: int, scale: int):
    assert Decimal(format_decimal(value, scale)) == Decimal(value).scaleb(scale)


def test_a_state_payload_is_the_documented_json():
    payload = format_state(
        reading(Quantity("energy_wh", 12045, -1, "Wh"), Quantity("power_w", None, 0, "W"))
    )

    assert payload == (
        b'{"sequence":7,"time":"2026-03-01T12:00:00.250Z",'
        b'"values":{"energy_wh":1204.5,"power_w":null},"units":{"energy_wh":"Wh","power_w":"W"}}'
    )


@given(value=st.none() | INT64, scale=SCALE, time_ms=st.integers(0, 253_402_300_799_999))
def test_what_is_formatted_is_parsed_back_exactly(value: int | None, scale: int, time_ms: int):
    payload = format_state(reading(Quantity("x", value, scale, '"°C\\'), time_ms=time_ms))
    expected = None if value is None else Decimal(value).scaleb(scale)

    assert parse_state(payload) == DeviceState(7, time_ms, {"x": expected}, {"x": '"°C\\'})


@pytest.mark.parametrize(
    "change",
    [
        {"sequence": -1},
        {"sequence": "7"},
        {"time": "2026-03-01T12:00:00"},
        {"time": "yesterday"},
        {"values": {"x": "NaN"}},
        {"values": {"x": "-Infinity"}},
        {"values": {"x": [1]}},
        {"units": None},
    ],
)
def test_a_payload_that_breaks_the_form_is_refused(change: dict[str, object]):
    good = {"sequence": 1, "time": "2026-03-01T12:00:00.000Z", "values": {"x": 1}, "units": {}}
    assert isinstance(parse_state(msgspec.json.encode(good)), DeviceState)

    refused = parse_state(msgspec.json.encode(good | change))

    assert isinstance(refused, Rejected)
    assert refused.reason is RejectReason.MALFORMED


@given(st.binary(max_size=80))
def test_any_other_bytes_are_refused_without_an_exception(payload: bytes):
    assert isinstance(parse_state(payload), Rejected)
