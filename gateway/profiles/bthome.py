"""BTHome version 2 service data (UUID 0xFCD2, bthome.io/format) to quantities.

A frame has no lengths: the object ids alone say how to go on. After an unknown id the rest cannot
be read, so the whole frame is refused.
"""

from dataclasses import dataclass

from gateway.errors import Rejected, RejectReason
from ledger.params import READING_QUANTITIES_MAX
from ledger.types.reading import Quantity

FRAME_BYTES_MAX = 255  # an advertising data structure's length is one byte
VERSION = 2
_ENCRYPTED = 0b0000_0001


@dataclass(frozen=True, slots=True)
class BthomeObject:
    """One kind of measurement: a little-endian integer of `size` bytes times `10**scale`."""

    name: str
    unit: str
    size: int
    scale: int = 0
    is_signed: bool = False


_PACKET_ID = BthomeObject("packet_id", "", 1)  # tells repeats of a frame apart; measures nothing

OBJECTS = {
    0x00: _PACKET_ID,
    0x01: BthomeObject("battery", "%", 1),
    0x02: BthomeObject("temperature", "°C", 2, -2, is_signed=True),
    0x03: BthomeObject("humidity", "%", 2, -2),
    0x04: BthomeObject("pressure", "hPa", 3, -2),
    0x05: BthomeObject("illuminance", "lx", 3, -2),
    0x06: BthomeObject("mass", "kg", 2, -2),
    0x08: BthomeObject("dewpoint", "°C", 2, -2, is_signed=True),
    0x09: BthomeObject("count", "", 1),
    0x0A: BthomeObject("energy_import_total", "kWh", 3, -3),
    0x0B: BthomeObject("power_active_total", "W", 3, -2),
    0x0C: BthomeObject("voltage", "V", 2, -3),
    0x0D: BthomeObject("pm2_5", "µg/m³", 2),
    0x0E: BthomeObject("pm10", "µg/m³", 2),
    0x10: BthomeObject("switched_on", "", 1),
    0x11: BthomeObject("opening", "", 1),
    0x12: BthomeObject("co2", "ppm", 2),
    0x13: BthomeObject("tvoc", "µg/m³", 2),
    0x14: BthomeObject("moisture", "%", 2, -2),
    0x15: BthomeObject("battery_low", "", 1),
    0x1A: BthomeObject("door", "", 1),
    0x20: BthomeObject("moisture_detected", "", 1),
    0x21: BthomeObject("motion", "", 1),
    0x23: BthomeObject("occupancy", "", 1),
    0x2D: BthomeObject("window", "", 1),
    0x2E: BthomeObject("humidity", "%", 1),
    0x2F: BthomeObject("moisture", "%", 1),
    0x3D: BthomeObject("count", "", 2),
    0x3E: BthomeObject("count", "", 4),
    0x43: BthomeObject("current", "A", 2, -3),
    0x45: BthomeObject("temperature", "°C", 2, -1, is_signed=True),
    0x4A: BthomeObject("voltage", "V", 2, -1),
    0x4D: BthomeObject("energy_import_total", "kWh", 4, -3),
    0x5C: BthomeObject("power_active_total", "W", 4, -2, is_signed=True),
    0x5D: BthomeObject("current", "A", 2, -3, is_signed=True),
}


def decode_service_data(data: bytes) -> tuple[Quantity, ...] | Rejected:
    """Return the measurements of one frame, in its order; a repeated kind is named `..._2`."""
    if not 1 <= len(data) <= FRAME_BYTES_MAX:
        return _malformed(f"{len(data)} bytes instead of 1 to {FRAME_BYTES_MAX}")
    if data[0] >> 5 != VERSION:
        return _malformed(f"version {data[0] >> 5} instead of {VERSION}")
    if data[0] & _ENCRYPTED:
        return _malformed("encrypted; turn encryption off in the device, its key is not known here")
    quantities: list[Quantity] = []
    names: list[str] = []
    position = 1
    while position < len(data):
        kind = OBJECTS.get(data[position])
        if kind is None:
            return _malformed(f"object id {data[position]:#04x} at byte {position} is not known")
        raw = data[position + 1 : position + 1 + kind.size]
        if len(raw) < kind.size:
            return _malformed(f"ends within {kind.name}, which starts at byte {position}")
        position += 1 + kind.size
        if kind is not _PACKET_ID:
            names.append(kind.name)
            quantities.append(_quantity(kind, raw, names.count(kind.name)))
    if not quantities:
        return Rejected(RejectReason.NO_QUANTITIES, "BTHome frame: no measurements")
    if len(quantities) > READING_QUANTITIES_MAX:
        return Rejected(
            RejectReason.TOO_LARGE, f"BTHome frame: over {READING_QUANTITIES_MAX} values"
        )
    return tuple(quantities)


def _quantity(kind: BthomeObject, raw: bytes, count: int) -> Quantity:
    name = kind.name if count == 1 else f"{kind.name}_{count}"
    value = int.from_bytes(raw, "little", signed=kind.is_signed)
    return Quantity(name, value, kind.scale, kind.unit)


def _malformed(what: str) -> Rejected:
    return Rejected(RejectReason.MALFORMED, f"BTHome frame: {what}")
