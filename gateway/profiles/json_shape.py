"""The short way from a JSON message to its quantities, for messages of the profile's own shape.

That is: an object whose keys are all in the profile, each once, and whose values are plain decimal
numbers within the digits that the profile keeps. Such a message is cut into numbers by a decoder
that msgspec makes from the profile; for any other message the answer is None, and `json_payload.py`
finds out what it says or what is wrong with it. Where there is an answer, it is the same.

That no key is foreign or comes twice follows from the quotes: each key in the text has two of them,
nothing else has any, so there must be twice as many as values were found.
"""

from collections.abc import Callable
from typing import Any, Self

import msgspec
from msgspec import Raw
from msgspec.structs import astuple

from gateway.errors import Rejected
from gateway.model.observation import Measured
from gateway.profiles.rounding import Rounder
from gateway.profiles.source_time import bound_time_ms, parse_time_text
from ledger.types.reading import Quantity

PAYLOAD_BYTES_MAX = 8 * 1024  # 64 quantities with the longest keys, written tightly
_MS_POWER = 3  # of ten: from seconds
_POWER_MAX = 36  # from a profile's greatest exponent, 18, to its least scale, -18
_TENS = tuple(10**power for power in range(_POWER_MAX + 1))

_QUOTE = ord('"')
_ABSENT = Raw()


class JsonShape:
    """Decodes the messages of one profile. A struct's fields are the quantities, then the time."""

    def __init__(
        self, decode: Callable[[bytes], Any], rounders: tuple[Rounder, ...], *, has_time: bool
    ) -> None:
        """Use `of`."""
        self._decode = decode
        self._has_time = has_time
        self._fields = tuple(
            (one.power, one.low, one.high, one.name, one.scale, one.unit, one.quantity(None))
            for one in rounders
        )

    @classmethod
    def of(
        cls, paths: tuple[str, ...], rounders: tuple[Rounder, ...], time_path: str | None
    ) -> Self | None:
        """Return the shape of quantities at these keys; None where a key is nested or unusual."""
        keys = paths if time_path is None else (*paths, time_path)
        is_plain = all(key.isidentifier() for key in keys) and len(set(keys)) == len(keys)
        if not is_plain:
            return None
        fields = [(f"f{number}", Raw, _ABSENT) for number in range(len(keys))]
        names = {name: key for (name, _, _), key in zip(fields, keys, strict=True)}
        message = msgspec.defstruct("Message", fields, rename=names, gc=False)
        decoder = msgspec.json.Decoder(message)
        return cls(decoder.decode, rounders, has_time=time_path is not None)

    def decode(self, payload: bytes) -> Measured | None:
        """Return what a message of this shape says; None for any other message."""
        if len(payload) > PAYLOAD_BYTES_MAX:
            return None
        try:
            values = astuple(self._decode(payload))
            found = 0
            quantities = []
            # The time has no field, and comes last.
            for raw, (power, low, high, name, scale, unit, nothing) in zip(
                values, self._fields, strict=False
            ):
                if raw is _ABSENT:
                    quantities.append(nothing)
                    continue
                found += 1
                whole, _, fraction = bytes(raw).partition(b".")
                shift = power - len(fraction)
                if shift < 0:
                    return None
                value = int(whole + fraction) * _TENS[shift]
                is_valid = low <= value <= high
                quantities.append(Quantity(name, value, scale, unit) if is_valid else nothing)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return None
        if not found:
            return None
        time_ms = None
        if self._has_time and values[-1] is not _ABSENT:
            text = bytes(values[-1])
            is_text = text[0] == _QUOTE
            found += 2 if is_text else 1
            time_ms = _read_time_text(text) if is_text else _read_time_number(text)
            if time_ms is None:
                return None
        if payload.count(b'"') != 2 * found:
            return None
        return Measured(tuple(quantities), time_ms)


def _read_time_number(text: bytes) -> int | None:
    """Return the Unix ms of plain decimal seconds in time; None for any other text."""
    whole, _, fraction = text.partition(b".")
    if len(fraction) > _MS_POWER or not whole.isdigit():
        return None
    return bound_time_ms(int(whole + fraction) * _TENS[_MS_POWER - len(fraction)])


def _read_time_text(text: bytes) -> int | None:
    """Return the Unix ms of a JSON string; None for what says no time."""
    if not text.isascii() or b"\\" in text:
        return None
    time_ms = parse_time_text(text[1:-1].decode(), "")
    return None if isinstance(time_ms, Rejected) else time_ms
