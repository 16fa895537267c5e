"""BTHome frames, among them those of the format's own documentation."""

import pytest
from hypothesis import given, settings, strategies as st

from gateway.errors import Rejected, RejectReason
from gateway.profiles.bthome import decode_service_data


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ("40 02 C4 09 03 BF 13", [("temperature", 2500, -2, "°C"), ("humidity", 5055, -2, "%")]),
        ("40 02 CA 09", [("temperature", 2506, -2, "°C")]),
        ("40 04 13 8A 01", [("pressure", 100883, -2, "hPa")]),
        ("40 05 13 8A 14", [("illuminance", 1346067, -2, "lx")]),
        ("40 0A 13 8A 14", [("energy_import_total", 1346067, -3, "kWh")]),
        ("40 0B 02 1B 00", [("power_active_total", 6914, -2, "W")]),
        ("40 0C 02 0C", [("voltage", 3074, -3, "V")]),
        ("40 43 4E 34", [("current", 13390, -3, "A")]),
        ("40 45 11 01", [("temperature", 273, -1, "°C")]),
        ("40 2E 23", [("humidity", 35, 0, "%")]),
        ("40 4D 12 13 8A 14", [("energy_import_total", 344593170, -3, "kWh")]),
        ("44 21 01", [("motion", 1, 0, "")]),  # bit 2: sent when something happens
        ("40 00 09 01 61", [("battery", 97, 0, "%")]),
        ("40 02 18 FC", [("temperature", -1000, -2, "°C")]),
        ("40 2E 23 2E 24", [("humidity", 35, 0, "%"), ("humidity_2", 36, 0, "%")]),
    ],
)
def test_frames(frame, expected):
    decoded = decode_service_data(bytes.fromhex(frame))
    assert not isinstance(decoded, Rejected)
    assert [(one.name, one.value, one.scale, one.unit) for one in decoded] == expected


@pytest.mark.parametrize(
    ("frame", "detail"),
    [
        ("", "0 bytes instead of 1 to 255"),
        ("20 02 C4 09", "version 1 instead of 2"),
        ("41 A4 72 66 C9", "encrypted; turn encryption off"),
        ("40 02 C4 09 EE 01", "object id 0xee at byte 4 is not known"),
        ("40 02 C4", "ends within temperature, which starts at byte 1"),
        ("40 02", "ends within temperature"),
        ("40 00", "ends within packet_id"),
        ("40", "no measurements"),
        ("40 00 01", "no measurements"),
        ("40 " + "01 61" * 65, "over 64 values"),
        ("40 " + "01 61" * 128, "257 bytes instead of"),
    ],
)
def test_refused(frame, detail):
    refused = decode_service_data(bytes.fromhex(frame))
    assert isinstance(refused, Rejected)
    assert refused.reason is not RejectReason.STORE_FAILED
    assert detail in refused.detail


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_no_frame_raises(data):
    decode_service_data(data)
    decode_service_data(b"\x40" + data)
