"""BTHome frames, among them those of the format's own documentation."""

import msgspec
import pytest
from hypothesis import given, strategies as st

from gateway.errors import Rejected, RejectReason
from gateway.profiles.bthome import LENGTH_PREFIXED, OBJECTS, SKIPPED, decode_service_data
from ledger.types.reading import Quantity

# Sizes in bytes of the format's table, by runs of object ids.
SIZES = {
    1: {0x00, 0x01, 0x09, *range(0x0F, 0x12), *range(0x15, 0x30)}
    | {*bytes.fromhex("3A465758596064")},
    2: {
        *bytes.fromhex(
            "020306 07080C0D0E 121314 3C3D3F 404144 434547 48494A 5152 56 5A5D5E5F 61 F0"
        )
    },
    3: {*bytes.fromhex("04050A0B 42 4B F2")},
    4: {*bytes.fromhex("3E 4C4D4E4F50 55 5B5C 6263 F1")},
}
SIGNED = {0x02, 0x08, 0x3F, 0x45, *range(0x57, 0x5E), 0x62, 0x63}


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
        ("40 3F 02 0C", [("rotation", 3074, -1, "°")]),
        ("40 3F F6 FF", [("rotation", -10, -1, "°")]),
        ("40 4A 02 0C", [("voltage", 3074, -1, "V")]),
        ("40 4B 13 8A 14", [("gas", 1346067, -3, "m³")]),
        ("40 50 5D 39 61 64", [("timestamp", 1684093277, 0, "s")]),
        ("40 58 EA", [("temperature", -770, -2, "°C")]),  # -22 times 0.35, exactly
        ("40 58 7F", [("temperature", 4445, -2, "°C")]),
        ("40 5C 02 FB FF FF", [("power_active_total", -1278, -2, "W")]),
        ("40 5D 02 EA", [("current", -5630, -3, "A")]),
        ("40 5E 9F 8C", [("direction", 35999, -2, "°")]),
        ("40 5F A0 0F", [("precipitation", 4000, -1, "mm")]),
        ("40 06 5E 1F 07 3E 1D", [("mass", 8030, -2, "kg"), ("mass_2", 7486, -2, "lb")]),
        ("44 00 07 01 61 3A 01", [("battery", 97, 0, "%")]),  # a button was pressed
        ("44 01 61 3A 00 3A 04 3C 01 03", [("battery", 97, 0, "%")]),
        (
            "40 01 61 53 0C 48 65 6C 6C 6F 20 57 6F 72 6C 64 21 54 00 57 EA",
            [("battery", 97, 0, "%"), ("temperature", -22, 0, "°C")],
        ),
        ("40 01 61 F0 01 00 F1 00 01 02 04 F2 00 01 06", [("battery", 97, 0, "%")]),
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
        ("42 A4 C1 38 56 5F 40 02 C4 09", "the reserved bit 1 of the first byte is set"),
        ("43 A4 C1", "encrypted"),
        ("40 01 61 3B 01", "object id 0x3b at byte 3 is not known"),
        ("40 01 61 65 01", "object id 0x65 at byte 3 is not known"),
        ("40 01 61 53", "ends within text, which starts at byte 3"),
        ("40 01 61 54 03 00 00", "ends within raw, which starts at byte 3"),
        ("40 01 61 53 FF 00", "ends within text"),
        ("40 3C 01", "ends within dimmer"),
        ("44 3A 01", "no measurements"),
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


def test_every_object_of_the_format_has_its_length():
    known = OBJECTS | SKIPPED
    assert not OBJECTS.keys() & SKIPPED.keys()
    assert {code: one.size for code, one in known.items()} == {
        code: size for size, codes in SIZES.items() for code in codes
    }
    assert {code for code, one in known.items() if one.is_signed} == SIGNED
    assert LENGTH_PREFIXED.keys() == {0x53, 0x54}


@pytest.mark.parametrize("code", OBJECTS)
def test_every_measurement_is_a_valid_quantity(code):
    decoded = decode_service_data(bytes([0x40, code]) + b"\xff" * OBJECTS[code].size)
    assert isinstance(decoded, tuple)
    assert msgspec.convert(msgspec.to_builtins(decoded), tuple[Quantity, ...]) == decoded
    assert (decoded[0].value == -OBJECTS[code].factor) == OBJECTS[code].is_signed


@given(st.binary(max_size=300))
def test_no_frame_raises(data):
    decode_service_data(data)
    decode_service_data(b"\x40" + data)
