"""BTHome version 2 service data (UUID 0xFCD2, bthome.io/format) to quantities.

Only texts carry a length; for the rest the object ids alone say how to go on. After an unknown id
nothing can be read, so the whole frame is refused.
"""

from dataclasses import dataclass

from gateway.errors import Rejected, RejectReason
from ledger.params import READING_QUANTITIES_MAX
from ledger.types.reading import Quantity

FRAME_BYTES_MAX = 255  # an advertising data structure's length is one byte
VERSION = 2
_ENCRYPTED = 0b0000_0001
# The format reserves this bit; its authors' own decoder takes it for "6 bytes of MAC address first".
_RESERVED = 0b0000_0010


@dataclass(frozen=True, slots=True)
class BthomeObject:
    """One kind of object: a little-endian integer of `size` bytes times `factor * 10**scale`."""

    name: str
    unit: str
    size: int
    scale: int = 0
    is_signed: bool = False
    factor: int = 1


# What measures nothing: the packet id tells repeats of a frame apart, an event (button, dimmer)
# is repeated in several frames, and the rest describes the device.
SKIPPED = {
    0x00: BthomeObject("packet_id", "", 1),
    0x3A: BthomeObject("button", "", 1),
    0x3C: BthomeObject("dimmer", "", 2),
    0xF0: BthomeObject("device_type_id", "", 2),
    0xF1: BthomeObject("firmware_version", "", 4),
    0xF2: BthomeObject("firmware_version", "", 3),
}
LENGTH_PREFIXED = {0x53: "text", 0x54: "raw"}  # a byte says how many follow; no numbers

_FLAGS = {
    0x0F: "generic",
    0x10: "switched_on",
    0x11: "opening",
    0x15: "battery_low",
    0x16: "battery_charging",
    0x17: "carbon_monoxide",
    0x18: "cold",
    0x19: "connected",
    0x1A: "door",
    0x1B: "garage_door",
    0x1C: "gas_detected",
    0x1D: "heat",
    0x1E: "light",
    0x1F: "unlocked",
    0x20: "moisture_detected",
    0x21: "motion",
    0x22: "moving",
    0x23: "occupancy",
    0x24: "plugged_in",
    0x25: "presence",
    0x26: "problem",
    0x27: "running",
    0x28: "safe",
    0x29: "smoke",
    0x2A: "sound",
    0x2B: "tamper",
    0x2C: "vibration",
    0x2D: "window",
}

OBJECTS = {
    **{code: BthomeObject(name, "", 1) for code, name in _FLAGS.items()},
    0x01: BthomeObject("battery", "%", 1),
    0x02: BthomeObject("temperature", "°C", 2, -2, is_signed=True),
    0x03: BthomeObject("humidity", "%", 2, -2),
    0x04: BthomeObject("pressure", "hPa", 3, -2),
    0x05: BthomeObject("illuminance", "lx", 3, -2),
    0x06: BthomeObject("mass", "kg", 2, -2),
    0x07: BthomeObject("mass", "lb", 2, -2),
    0x08: BthomeObject("dewpoint", "°C", 2, -2, is_signed=True),
    0x09: BthomeObject("count", "", 1),
    0x0A: BthomeObject("energy_import_total", "kWh", 3, -3),
    0x0B: BthomeObject("power_active_total", "W", 3, -2),
    0x0C: BthomeObject("voltage", "V", 2, -3),
    0x0D: BthomeObject("pm2_5", "µg/m³", 2),
    0x0E: BthomeObject("pm10", "µg/m³", 2),
    0x12: BthomeObject("co2", "ppm", 2),
    0x13: BthomeObject("tvoc", "µg/m³", 2),
    0x14: BthomeObject("moisture", "%", 2, -2),
    0x2E: BthomeObject("humidity", "%", 1),
    0x2F: BthomeObject("moisture", "%", 1),
    0x3D: BthomeObject("count", "", 2),
    0x3E: BthomeObject("count", "", 4),
    0x3F: BthomeObject("rotation", "°", 2, -1, is_signed=True),
    0x40: BthomeObject("distance", "mm", 2),
    0x41: BthomeObject("distance", "m", 2, -1),
    0x42: BthomeObject("duration", "s", 3, -3),
    0x43: BthomeObject("current", "A", 2, -3),
    0x44: BthomeObject("speed", "m/s", 2, -2),
    0x45: BthomeObject("temperature", "°C", 2, -1, is_signed=True),
    0x46: BthomeObject("uv_index", "", 1, -1),
    0x47: BthomeObject("volume", "L", 2, -1),
    0x48: BthomeObject("volume", "mL", 2),
    0x49: BthomeObject("volume_flow_rate", "m³/h", 2, -3),
    0x4A: BthomeObject("voltage", "V", 2, -1),
    0x4B: BthomeObject("gas", "m³", 3, -3),
    0x4C: BthomeObject("gas", "m³", 4, -3),
    0x4D: BthomeObject("energy_import_total", "kWh", 4, -3),
    0x4E: BthomeObject("volume", "L", 4, -3),
    0x4F: BthomeObject("water", "L", 4, -3),
    0x50: BthomeObject("timestamp", "s", 4),
    0x51: BthomeObject("acceleration", "m/s²", 2, -3),
    0x52: BthomeObject("gyroscope", "°/s", 2, -3),
    0x55: BthomeObject("volume_storage", "L", 4, -3),
    0x56: BthomeObject("conductivity", "µS/cm", 2),
    0x57: BthomeObject("temperature", "°C", 1, is_signed=True),
    0x58: BthomeObject("temperature", "°C", 1, -2, is_signed=True, factor=35),
    0x59: BthomeObject("count", "", 1, is_signed=True),
    0x5A: BthomeObject("count", "", 2, is_signed=True),
    0x5B: BthomeObject("count", "", 4, is_signed=True),
    0x5C: BthomeObject("power_active_total", "W", 4, -2, is_signed=True),
    0x5D: BthomeObject("current", "A", 2, -3, is_signed=True),
    0x5E: BthomeObject("direction", "°", 2, -2),
    0x5F: BthomeObject("precipitation", "mm", 2, -1),
    0x60: BthomeObject("channel", "", 1),
    0x61: BthomeObject("rotational_speed", "rpm", 2),
    0x62: BthomeObject("speed", "m/s", 4, -6, is_signed=True),
    0x63: BthomeObject("acceleration", "m/s²", 4, -6, is_signed=True),
    0x64: BthomeObject("light_level", "", 1),
}


def decode_service_data(data: bytes) -> tuple[Quantity, ...] | Rejected:
    """Return the measurements of one frame, in its order; a repeated kind is named `..._2`."""
    fault = _find_fault(data)
    if fault is not None:
        return _malformed(fault)
    quantities: list[Quantity] = []
    names: list[str] = []
    position = 1
    while position < len(data):
        kind = _object_at(data, position)
        if kind is None:
            return _malformed(f"object id {data[position]:#04x} at byte {position} is not known")
        raw = data[position + 1 : position + 1 + kind.size]
        if len(raw) < kind.size:
            return _malformed(f"ends within {kind.name}, which starts at byte {position}")
        if data[position] in OBJECTS:
            names.append(kind.name)
            quantities.append(_quantity(kind, raw, names.count(kind.name)))
        position += 1 + kind.size
    if not quantities:
        return Rejected(RejectReason.NO_QUANTITIES, "BTHome frame: no measurements")
    if len(quantities) > READING_QUANTITIES_MAX:
        return Rejected(
            RejectReason.TOO_LARGE, f"BTHome frame: over {READING_QUANTITIES_MAX} values"
        )
    return tuple(quantities)


def _find_fault(data: bytes) -> str | None:
    """Return why the length or the device information, the first byte, is none to decode."""
    if not 1 <= len(data) <= FRAME_BYTES_MAX:
        return f"{len(data)} bytes instead of 1 to {FRAME_BYTES_MAX}"
    if data[0] >> 5 != VERSION:
        return f"version {data[0] >> 5} instead of {VERSION}"
    if data[0] & _ENCRYPTED:
        return "encrypted; turn encryption off in the device, its key is not known here"
    if data[0] & _RESERVED:
        return "the reserved bit 1 of the first byte is set; turn off sending the MAC address"
    return None


def _object_at(data: bytes, position: int) -> BthomeObject | None:
    """Return the kind of the object at `position`, None where its id is not known."""
    code = data[position]
    if code in LENGTH_PREFIXED:
        length = data[position + 1] if position + 1 < len(data) else 0
        return BthomeObject(LENGTH_PREFIXED[code], "", 1 + length)
    return OBJECTS.get(code) or SKIPPED.get(code)


def _quantity(kind: BthomeObject, raw: bytes, count: int) -> Quantity:
    name = kind.name if count == 1 else f"{kind.name}_{count}"
    value = int.from_bytes(raw, "little", signed=kind.is_signed) * kind.factor
    return Quantity(name, value, kind.scale, kind.unit)


def _malformed(what: str) -> Rejected:
    return Rejected(RejectReason.MALFORMED, f"BTHome frame: {what}")
