"""Hostile and honest JSON messages."""

import pytest
from hypothesis import given, strategies as st

from gateway.connectors.simulated.mqtt_plug import build_message
from gateway.errors import Rejected, RejectReason
from gateway.model.observation import Measured
from gateway.profiles.json_payload import PAYLOAD_BYTES_MAX, JsonDecoder, JsonProfile
from gateway.profiles.library import ProfileLibrary

UP = "ss/v1/home/dev/meter/up"


def make_decoder(profile: str, device: str) -> JsonDecoder:
    found = ProfileLibrary(None).get(profile)
    return JsonDecoder(found, device, JsonProfile(found))


FLAT = make_decoder("json-energy", "meter")
PLUG = make_decoder("shelly-plus-plug-s", "plug")


def decode_values(decoder, topic, payload):
    decoded = decoder.decode(topic, payload)
    assert isinstance(decoded, Measured), decoded
    return {one.name: one.value for one in decoded.quantities}


@pytest.mark.parametrize(
    ("payload", "reason", "detail"),
    [
        (b"", RejectReason.MALFORMED, "not JSON"),
        (b"12", RejectReason.MALFORMED, "not a JSON object"),
        (b'[{"power_active_total": 1}]', RejectReason.MALFORMED, "not a JSON object"),
        (b'{"power_active_total": 1} x', RejectReason.MALFORMED, "not JSON: Extra data"),
        (b'{"power_active_total": 1,}', RejectReason.MALFORMED, "not JSON"),
        (b'{"power_active_total": 01}', RejectReason.MALFORMED, "not JSON"),
        (b'{"power_active_total": NaN}', RejectReason.MALFORMED, "NaN is not a number"),
        (b'{"power_active_total": -Infinity}', RejectReason.MALFORMED, "-Infinity is not a number"),
        (b'{"power_active_total": 1, "power_active_total": 2}', RejectReason.MALFORMED, "twice"),
        (b'{"x": {"y": 1, "y": 1}}', RejectReason.MALFORMED, "a key appears twice"),
        (b'{"power_active_total": "1"}', RejectReason.MALFORMED, "is not a number"),
        (b'{"power_active_total": true}', RejectReason.MALFORMED, "is not a number"),
        (b'{"power_active_total": [1]}', RejectReason.MALFORMED, "is not a number"),
        (b'{"power_active_total": 1, "time": "noon"}', RejectReason.MALFORMED, "time is not ISO"),
        (
            b'{"power_active_total": 1, "time": "2026-01-31T12:00:00.00000000000000+00:00garbage"}',
            RejectReason.MALFORMED,
            "time is longer than 40 characters",
        ),
        (
            b'{"power_active_total": 1, "time": "2026-01-31T12:00:00.' + b"0" * 30 + b'"}',
            RejectReason.MALFORMED,
            "time is longer than 40 characters",
        ),
        (b'{"power_active_total": 1, "time": true}', RejectReason.MALFORMED, "time is neither"),
        (
            b'{"power_active_total": ' + b"9" * 5000 + b"}",
            RejectReason.MALFORMED,
            "too many digits",
        ),
        (
            b'{"power_active_total": 1e' + b"9" * 30 + b"}",
            RejectReason.MALFORMED,
            "too many digits",
        ),
        (b'{"power_active_total": \xff}', RejectReason.MALFORMED, "not UTF-8"),
        (b'\xef\xbb\xbf{"power_active_total": 1}', RejectReason.MALFORMED, "not JSON"),
        ('{"power_active_total": 1}'.encode("utf-16"), RejectReason.MALFORMED, "not UTF-8"),
        (b'{"a":' * 300 + b"1" + b"}" * 300, RejectReason.MALFORMED, "more than 256 objects"),
        (b"[" * 60_000, RejectReason.MALFORMED, "more than 256 objects"),
        (b'{"a":"' + b"x" * PAYLOAD_BYTES_MAX + b'"}', RejectReason.TOO_LARGE, "larger than"),
        (b"{}", RejectReason.NO_QUANTITIES, "none of energy_import_total"),
        (b'{"power_active_total": null}', RejectReason.NO_QUANTITIES, "none of"),
    ],
)
def test_refused(payload, reason, detail):
    refused = FLAT.decode(UP, payload)
    assert isinstance(refused, Rejected)
    assert refused.reason is reason
    assert detail in refused.detail
    assert len(refused.detail) < 250


@given(st.binary(max_size=200))
def test_no_payload_raises(payload):
    FLAT.decode(UP, payload)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.1", 100),
        ("1e3", 1_000_000),
        ("0.0005", 0),
        ("0.0015", 2),
        ("9007199254740993", None),  # out of the profile's range, and not rounded to a float
        ("9999999.999", 9_999_999_999),
        ("1e400", None),
        ("-0", 0),
    ],
)
def test_numbers_are_exact(text, value):
    payload = b'{"energy_import_total": 1, "power_active_total": ' + text.encode() + b"}"
    assert decode_values(FLAT, UP, payload)["power_active_total"] == value


@pytest.mark.parametrize(
    ("text", "time_ms"),
    [
        ("1769860800", 1_769_860_800_000),
        ("1769860800.2505", 1_769_860_800_250),
        ('"2026-01-31T12:00:00Z"', 1_769_860_800_000),
        ('"2026-01-31T13:30:00.250+01:30"', 1_769_860_800_250),
        ('"2026-01-31T12:00:00"', None),
        ('"1969-01-01T00:00:00Z"', None),
        ('"1970-01-01T00:00:00Z"', None),
        ('"1970-01-01T00:30:00+01:00"', None),
        ('"0001-01-01T00:00:00+23:59"', None),
        ('"9999-12-31T23:59:59.999Z"', 253_402_300_799_999),
        ('"9999-12-31T23:59:59-23:59"', None),
        ("253402300799.999", 253_402_300_799_999),
        ("253402300800", None),
        ("null", None),
        ("0", None),
        ("-5", None),
        ("1e300", None),
    ],
)
def test_the_devices_own_time(text, time_ms):
    decoded = FLAT.decode(UP, b'{"power_active_total": 1, "time": ' + text.encode() + b"}")
    assert isinstance(decoded, Measured)
    assert decoded.source_time_ms == time_ms


def test_topics():
    payload = b'{"apower": 5}'
    for topic in ("plug/status/switch:0", "ss/v1/home/dev/plug/up"):
        assert decode_values(PLUG, topic, payload)["power_active_total"] == 50
    assert PLUG.decode("plug/online", b"true") is None
    for topic in ("other/status/switch:0", "ss/v1/home/dev/other/up", "plug/status/switch:1"):
        refused = PLUG.decode(topic, payload)
        assert isinstance(refused, Rejected)
        assert refused.reason is RejectReason.UNKNOWN_TOPIC


def test_a_path_through_what_is_no_object_finds_nothing():
    payload = b'{"apower": 5, "aenergy": 7, "temperature": [1]}'
    values = decode_values(PLUG, "plug/status/switch:0", payload)
    assert values["energy_import_total"] is None
    assert values["temperature"] is None


@given(st.integers(0, 3000), st.integers(0, 10**12))
def test_the_simulated_plug_is_understood(power_w, energy_mwh):
    topic, payload = build_message("plug", power_w, energy_mwh, 1_769_860_859.9)
    decoded = PLUG.decode(topic, payload)
    assert isinstance(decoded, Measured)
    values = {one.name: one.value for one in decoded.quantities}
    assert values["power_active_total"] == power_w * 10
    assert values["energy_import_total"] == energy_mwh
    assert decoded.source_time_ms == 1_769_860_800_000
