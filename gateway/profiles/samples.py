"""Profiles prove themselves: each sample is decoded and compared with what its author expects."""

import re
from decimal import Decimal

from gateway.errors import Rejected
from gateway.model import topics
from gateway.model.observation import Measured
from gateway.profiles.bthome import decode_service_data
from gateway.profiles.json_payload import decode_json
from gateway.profiles.modbus_map import decode_registers
from gateway.profiles.profile import Profile, Sample
from ledger.types.reading import Quantity

SAMPLE_DEVICE = "device"  # the device's name in samples' topics

_DECIMAL = re.compile(r"-?[0-9]{1,19}(\.[0-9]{1,18})?", re.ASCII)
_FRAME = re.compile(r"[0-9A-Fa-f]{2}( ?[0-9A-Fa-f]{2})*", re.ASCII)


def parse_decimal(value: str | int) -> Decimal | None:
    """Return the exact number of a sample's value; None where it is no plain decimal."""
    text = str(value)
    return Decimal(text) if _DECIMAL.fullmatch(text) else None


def parse_frame(text: str) -> bytes | None:
    """Return the bytes of a sample's frame; None where it is no hexadecimal."""
    return bytes.fromhex(text) if _FRAME.fullmatch(text) else None


def decode_sample(profile: Profile, sample: Sample) -> Measured | Rejected | None:
    """Decode a sample's raw data the way a connector would."""
    if profile.modbus is not None:
        registers = {
            (run.function, run.address + i): word
            for run in sample.registers
            for i, word in enumerate(run.words)
        }
        return _without_time(decode_registers(profile, registers))
    if profile.mqtt is not None:
        topic = sample.topic or topics.device("gateway", SAMPLE_DEVICE, "up")
        return decode_json(profile, SAMPLE_DEVICE, topic, (sample.payload or "").encode())
    return _without_time(decode_service_data(parse_frame(sample.frame or "") or b""))


def _without_time(quantities: tuple[Quantity, ...] | Rejected) -> Measured | Rejected:
    return quantities if isinstance(quantities, Rejected) else Measured(quantities)


def check_sample(profile: Profile, sample: Sample) -> str | None:
    """Return one line that says how the decoded data differs from what is expected, or None."""
    decoded = decode_sample(profile, sample)
    if decoded is None:
        return "the message was ignored"
    if isinstance(decoded, Rejected):
        is_expected = sample.rejected is not None and sample.rejected in str(decoded)
        return None if is_expected else f"refused: {decoded}"
    if sample.rejected is not None:
        return f"decoded, but `{sample.rejected}` was expected"
    return _compare(decoded, sample)


def _compare(decoded: Measured, sample: Sample) -> str | None:
    found = {one.name: _number(one) for one in decoded.quantities}
    for name, value in sample.values.items():
        wanted = None if value is None else parse_decimal(value)
        if name not in found:
            return f"{name} is missing"
        if found[name] != wanted:
            return f"{name} is {found[name]} instead of {wanted}"
    unnamed = sorted(found.keys() - sample.values.keys())
    if unnamed:
        return f"{unnamed[0]} is {found[unnamed[0]]}, which the sample does not name"
    if decoded.source_time_ms != sample.source_time_ms:
        return f"source_time_ms is {decoded.source_time_ms} instead of {sample.source_time_ms}"
    return None


def _number(quantity: Quantity) -> Decimal | None:
    return None if quantity.value is None else Decimal(quantity.value).scaleb(quantity.scale)
