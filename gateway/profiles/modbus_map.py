"""Modbus profiles at work: which registers to read, what they say, and how a simulator fills them.

Addresses are 0-based protocol addresses. Numbers are exact: a float32 is the binary fraction it is.
"""

import functools
import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from gateway.errors import Rejected, RejectReason
from gateway.profiles.profile import Function, ModbusMap, Profile, RegisterMeasure
from gateway.profiles.rounding import Rounder, round_ratio
from ledger.types.reading import Quantity

Registers: TypeAlias = Mapping[tuple[Function, int], int]

WORDS = {"uint16": 1, "int16": 1, "uint32": 2, "int32": 2, "uint64": 4, "int64": 4, "float32": 2}
SCALE_FACTOR_MISSING = 0x8000  # SunSpec: "not implemented" for int16 and sunssf
SCALE_FACTOR_MAX = 10
_FLOAT32_NAN = 0x7FC0_0000

_rounder_of = functools.lru_cache(maxsize=1024)(Rounder.of)  # a poll a second reuses them


@dataclass(frozen=True, slots=True)
class RegisterBlock:
    """`count` registers from `address` on, read in one request."""

    function: Function
    address: int
    count: int


def modbus_map(profile: Profile) -> ModbusMap:
    """Return the map of a Modbus profile."""
    assert profile.modbus is not None, f"{profile.name} is not a Modbus profile"
    return profile.modbus


def spans(device: ModbusMap) -> Iterator[RegisterBlock]:
    """Yield every run of registers that the profile needs: values, scale factors and markers."""
    for one in device.quantities:
        yield RegisterBlock(one.function, one.address, WORDS[one.type])
        if one.scale_register is not None:
            yield RegisterBlock(one.function, one.scale_register, 1)
    for marker in device.markers:
        yield RegisterBlock(marker.function, marker.address, WORDS[marker.type])


def plan_blocks(profile: Profile) -> tuple[RegisterBlock, ...]:
    """Return the requests that read all that is needed, few and large.

    A block never bridges more than `gap` unused registers nor an unreadable one, and is never
    longer than the device answers.
    """
    device = modbus_map(profile)
    blocks: list[RegisterBlock] = []
    for span in sorted(spans(device), key=lambda one: (one.function, one.address, one.count)):
        merged = _merge(blocks[-1], span, device) if blocks else None
        if merged is None:
            blocks.append(span)
        else:
            blocks[-1] = merged
    return tuple(blocks)


def _merge(block: RegisterBlock, span: RegisterBlock, device: ModbusMap) -> RegisterBlock | None:
    """Return one block over both, or None where it must not be."""
    block_end = block.address + block.count
    end = max(block_end, span.address + span.count)
    is_allowed = (
        block.function == span.function
        and span.address - block_end <= device.gap
        and end - block.address <= device.registers_per_request
        and not is_unreadable(device, block.function, block_end, span.address)
    )
    return RegisterBlock(block.function, block.address, end - block.address) if is_allowed else None


def is_unreadable(device: ModbusMap, function: Function, start: int, end: int) -> bool:
    """Tell whether a register from `start` to before `end` must not be read."""
    return any(
        one.function == function and one.first < end and start <= one.last
        for one in device.unreadable
    )


def decode_registers(profile: Profile, registers: Registers) -> tuple[Quantity, ...] | Rejected:
    """Return the quantities that 16-bit words, by function and address, say.

    A quantity without valid registers is None; a wrong or unread marker refuses them all.
    """
    device = modbus_map(profile)
    for marker in device.markers:
        found = _read_raw(registers, marker.function, marker.address, WORDS[marker.type])
        if found != marker.value:
            shown = "was not read" if found is None else f"holds {found:#x}"
            return Rejected(
                RejectReason.MALFORMED,
                f"{marker.function} register {marker.address} {shown} instead of "
                f"{marker.value:#x} ({marker.meaning}): the device is not a {profile.name}",
            )
    if all(
        _read_raw(registers, one.function, one.address, WORDS[one.type]) is None
        for one in device.quantities
    ):
        return Rejected(RejectReason.NO_QUANTITIES, f"no register of {profile.name} was read")
    return tuple(_decode(one, registers) for one in device.quantities)


def _decode(measure: RegisterMeasure, registers: Registers) -> Quantity:
    rounder = _rounder_of(measure)
    raw = _read_raw(
        registers, measure.function, measure.address, WORDS[measure.type], measure.word_order
    )
    exponent = _read_exponent(measure, registers)
    if raw is None or raw == measure.missing or exponent is None:
        return rounder.quantity(None)
    if measure.type != "float32":
        return rounder.from_ratio(_to_integer(raw, measure.type), 1, exponent)
    number: float = struct.unpack(">f", raw.to_bytes(4, "big"))[0]
    if not math.isfinite(number):
        return rounder.quantity(None)
    return rounder.from_ratio(*number.as_integer_ratio(), exponent)


def _read_raw(
    registers: Registers, function: Function, address: int, count: int, word_order: str = "big"
) -> int | None:
    """Return the unsigned number in `count` words, or None where one was not read."""
    words = [registers.get((function, address + i)) for i in range(count)]
    raw = 0
    for word in words if word_order == "big" else reversed(words):
        if word is None:
            return None
        raw = raw << 16 | word
    return raw


def _read_exponent(measure: RegisterMeasure, registers: Registers) -> int | None:
    """Return the power of ten in the scale register, 0 without one, None where it is no valid one."""
    if measure.scale_register is None:
        return 0
    raw = registers.get((measure.function, measure.scale_register))
    if raw is None or raw == SCALE_FACTOR_MISSING:
        return None
    exponent = _to_integer(raw, "int16")
    return exponent if abs(exponent) <= SCALE_FACTOR_MAX else None


def _to_integer(raw: int, kind: str) -> int:
    bits = 16 * WORDS[kind]
    return raw - (1 << bits) if kind.startswith("int") and raw >> (bits - 1) else raw


def encode_registers(
    profile: Profile, values: Mapping[str, int | None]
) -> dict[tuple[Function, int], int]:
    """Return the words of a device that measures `values`, integers at each quantity's scale.

    What is None or not named gets the device's sign for no value. Markers and scale factors are
    filled in; a scale factor is the finest with which all its values fit.
    """
    device = modbus_map(profile)
    words: dict[tuple[Function, int], int] = {}
    for marker in device.markers:
        words |= _to_words(marker.function, marker.address, WORDS[marker.type], marker.value)
    factors = _choose_factors(device, values)
    for key, factor in factors.items():
        words[key] = factor & 0xFFFF
    for one in device.quantities:
        value = values.get(one.name)
        factor = factors[one.function, one.scale_register] if one.scale_register is not None else 0
        raw = _missing_raw(one) if value is None else _encode(one, value, factor)
        words |= _to_words(one.function, one.address, WORDS[one.type], raw, one.word_order)
    return words


def _choose_factors(
    device: ModbusMap, values: Mapping[str, int | None]
) -> dict[tuple[Function, int], int]:
    users: dict[tuple[Function, int], list[RegisterMeasure]] = {}
    for one in device.quantities:
        if one.scale_register is not None:
            users.setdefault((one.function, one.scale_register), []).append(one)
    return {key: _choose_factor(measures, values) for key, measures in users.items()}


def _choose_factor(measures: list[RegisterMeasure], values: Mapping[str, int | None]) -> int:
    finest = min(one.scale - one.exponent for one in measures)
    present = [(one, values.get(one.name)) for one in measures]
    for factor in range(max(finest, -SCALE_FACTOR_MAX), SCALE_FACTOR_MAX):
        if all(value is None or _fits(one, value, factor) for one, value in present):
            return factor
    return SCALE_FACTOR_MAX


def _fits(measure: RegisterMeasure, value: int, factor: int) -> bool:
    number = round_ratio(value, 1, measure.scale - measure.exponent - factor)
    bits = 16 * WORDS[measure.type]
    low, high = (
        (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
        if measure.type.startswith("int")
        else (0, (1 << bits) - 1)
    )
    return low <= number <= high and number & ((1 << bits) - 1) != measure.missing


def _encode(measure: RegisterMeasure, value: int, factor: int) -> int:
    power = measure.scale - measure.exponent - factor
    if measure.type == "float32":
        number = value * 10**power if power >= 0 else value / 10**-power
        return int.from_bytes(struct.pack(">f", number), "big")
    assert _fits(measure, value, factor), f"{measure.name}={value} does not fit {measure.type}"
    return round_ratio(value, 1, power) & ((1 << (16 * WORDS[measure.type])) - 1)


def _missing_raw(measure: RegisterMeasure) -> int:
    if measure.missing is not None:
        return measure.missing
    return _FLOAT32_NAN if measure.type == "float32" else 0


def _to_words(
    function: Function, address: int, count: int, raw: int, word_order: str = "big"
) -> dict[tuple[Function, int], int]:
    parts = [raw >> (16 * i) & 0xFFFF for i in range(count)]
    ordered = parts if word_order == "little" else parts[::-1]
    return {(function, address + i): word for i, word in enumerate(ordered)}
