"""A reading as people and home automation see it: the JSON text of the retained `state` topic.

    {"sequence":7,"time":"2026-03-01T12:00:00.250Z","values":{"energy_wh":1204.5,"power_w":null},
     "units":{"energy_wh":"Wh","power_w":"W"}}

`time` is the gateway's own, in UTC. Values are JSON numbers whose digits are exact: they are made
from the integer and its power of ten and never pass through a float. None is `null`.
"""

from dataclasses import dataclass
from decimal import Decimal

import msgspec

from gateway.errors import Rejected, RejectReason
from ledger.errors import CodecError
from ledger.types.primitives import Counter
from ledger.types.reading import Reading
from ledger.types.time_text import format_time_ms, parse_time_ms


@dataclass(frozen=True, slots=True)
class DeviceState:
    """What a `state` payload says; `time_ms` is Unix milliseconds."""

    sequence: int
    time_ms: int
    values: dict[str, Decimal | None]
    units: dict[str, str]


class _StatePayload(msgspec.Struct, frozen=True):
    sequence: Counter
    time: str
    values: dict[str, Decimal | None]
    units: dict[str, str]


_decoder = msgspec.json.Decoder(_StatePayload)
_encoder = msgspec.json.Encoder()


def format_decimal(value: int, scale: int) -> str:
    """Return the exact decimal text of `value * 10**scale`, for example 2301, -1 -> 230.1."""
    if scale >= 0:
        return str(value * 10**scale)
    digits = str(abs(value)).rjust(1 - scale, "0")
    sign = "-" if value < 0 else ""
    return f"{sign}{digits[:scale]}.{digits[scale:]}"


def format_state(reading: Reading) -> bytes:
    """Return the UTF-8 JSON payload of a reading."""
    return _encoder.encode(
        {
            "sequence": reading.sequence,
            "time": format_time_ms(reading.gateway_time_ms),
            "values": {one.name: _number(one.value, one.scale) for one in reading.quantities},
            "units": {one.name: one.unit for one in reading.quantities},
        }
    )


def _number(value: int | None, scale: int) -> msgspec.Raw | None:
    return None if value is None else msgspec.Raw(format_decimal(value, scale).encode())


def parse_state(payload: bytes) -> DeviceState | Rejected:
    """Return what a `state` payload says, with exact decimals, or say what is wrong with it."""
    try:
        state = _decoder.decode(payload)
        time_ms = parse_time_ms(state.time)
    except (msgspec.DecodeError, CodecError, UnicodeDecodeError, RecursionError) as error:
        return Rejected(RejectReason.MALFORMED, f"state payload: {error}")
    if any(value is not None and not value.is_finite() for value in state.values.values()):
        return Rejected(RejectReason.MALFORMED, "state payload: a value is not a finite number")
    return DeviceState(
        sequence=state.sequence, time_ms=time_ms, values=state.values, units=state.units
    )
