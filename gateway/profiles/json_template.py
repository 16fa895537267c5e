"""The short way from a JSON message to its quantities: by the text of one that came before.

A device writes its messages alike: only the digits of some numbers differ. From a message that the
long way of `json_payload.py` decoded, a template is learned: its text as a regular expression with a
gap for each number. A message that fits has the same keys and the same nesting in the same order,
and JSON numbers in the gaps, so the long way would say the same of it; the short way need only
read the digits. The answer None means: take the long way.

An expression never has two ways to go on, so it is matched in one pass.
"""

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Self

from gateway.errors import Rejected
from gateway.model.observation import Measured
from gateway.profiles.rounding import INTEGER_MAX, Rounder, round_decimal
from gateway.profiles.source_time import SOURCE_TIME_MAX_MS, parse_time_text
from ledger.types.reading import Quantity

PAYLOAD_BYTES_MAX = 2 * 1024  # an expression takes some ten times as much memory
_MS_POWER = 3  # of ten: from seconds
_MS_PER_S = 10**_MS_POWER

_TOO_LARGE = INTEGER_MAX + 1  # out of every range

_TOKEN = re.compile(
    rb'(?P<text>"(?:[^"\\]|\\.)*")|(?P<number>-?[0-9]+(?:\.[0-9]+)?(?![0-9.eE]))|[0-9]', re.DOTALL
)
# Each gap that is read has two groups: the digits before the point and those after it.
_NUMBER_GAP = rb"(-?(?:0|[1-9][0-9]{0,17}))(?:\.([0-9]{1,18}))?"
_OTHER_NUMBER_GAP = rb"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,18})?"
_TEXT_GAP = rb'"([0-9A-Z:+. -]{1,40})()"'

LookUp = Callable[[bytes], Sequence[object]]
"""Returns the value for each quantity of a message, then the time's if there is one; None: absent."""


class JsonTemplate:
    """Decodes messages that are written like the one it was learned from."""

    __slots__ = ("_fields", "_match", "_time_place")

    def __init__(
        self,
        expression: bytes,
        places: Sequence[int | None],
        rounders: Sequence[Rounder],
        time_place: int | None,
    ) -> None:
        """Use `learn`. A place is the index of a value's first group in the match."""
        self._match = re.compile(expression).fullmatch
        self._time_place = time_place
        # Of each quantity: the groups before and after the point, -1 for no value; the factor to
        # its scale by how many digits stand after the point; its range, parts and empty value.
        self._fields = tuple(
            (
                -1 if place is None else place,
                -1 if place is None else place + 1,
                tuple(10 ** (one.power - digits) for digits in range(one.power + 1)),
                *(one.low, one.high, one.name, one.scale, one.unit, one.quantity(None)),
            )
            for place, one in zip(places, rounders, strict=True)
        )

    @classmethod
    def learn(cls, payload: bytes, rounders: Sequence[Rounder], look_up: LookUp) -> Self | None:
        """Return the template of a message that the long way decoded; None if it makes none."""
        tokens = list(_TOKEN.finditer(payload))
        is_usual = len(payload) <= PAYLOAD_BYTES_MAX and all(one.power >= 0 for one in rounders)
        if not is_usual or any(token.lastgroup is None for token in tokens):
            return None  # the last: a number with an exponent
        # The same message with each number's index in its place tells where the values stand.
        found = [_find_token(tokens, value) for value in look_up(_mark(payload, tokens))]
        if any(index == _NOWHERE for index in found):
            return None
        read = sorted({index for index in found if index is not None})
        places = [None if index is None else 2 * read.index(index) for index in found]
        time_place = places[-1] if len(places) > len(rounders) else None
        expression = _build_expression(payload, tokens, read)
        return cls(expression, places[: len(rounders)], rounders, time_place)

    def decode(self, payload: bytes) -> Measured | None:
        """Return what a message says, or None if the long way must tell."""
        found = self._match(payload)
        if found is None:
            return None
        digits = found.groups()
        quantities = []
        for whole, after, factors, low, high, name, scale, unit, nothing in self._fields:
            if whole < 0:
                quantities.append(nothing)
                continue
            fraction = digits[after]
            if fraction is None:
                value = int(digits[whole]) * factors[0]
            elif len(fraction) < len(factors):
                value = int(digits[whole] + fraction) * factors[len(fraction)]
            else:
                value = _round(digits[whole], fraction, len(factors) - 1)
            is_valid = low <= value <= high
            quantities.append(Quantity(name, value, scale, unit) if is_valid else nothing)
        time_ms = None
        place = self._time_place
        if place is not None:
            fraction = digits[place + 1]
            if fraction is None:
                time_ms = int(digits[place]) * _MS_PER_S
            else:
                time_ms = _read_time_ms(digits[place], fraction)
            if not 0 < time_ms <= SOURCE_TIME_MAX_MS:
                return None
        return Measured(tuple(quantities), time_ms)


_NOWHERE = -1


def _mark(payload: bytes, tokens: Sequence[re.Match[bytes]]) -> bytes:
    """Return the message with each number replaced by its index among the tokens."""
    pieces: list[bytes] = []
    end = 0
    for index, token in enumerate(tokens):
        is_number = token.lastgroup == "number"
        pieces += payload[end : token.start()], b"%d" % index if is_number else token[0]
        end = token.end()
    return b"".join(pieces) + payload[end:]


def _build_expression(
    payload: bytes, tokens: Sequence[re.Match[bytes]], read: Sequence[int]
) -> bytes:
    """Return the message as an expression, with groups for the tokens that are read."""
    pieces: list[bytes] = []
    end = 0
    for index, token in enumerate(tokens):
        gap = _write_gap(token, is_read=index in read)
        pieces += re.escape(payload[end : token.start()]), gap
        end = token.end()
    return b"".join(pieces) + re.escape(payload[end:])


def _find_token(tokens: Sequence[re.Match[bytes]], value: object) -> int | None:
    """Return which token a value of the marked message is; None for no value."""
    if value is None or type(value) is int:
        return value
    if not isinstance(value, str):
        return _NOWHERE
    same = [index for index, token in enumerate(tokens) if token[0] == b'"%b"' % value.encode()]
    return same[0] if len(same) == 1 else _NOWHERE


def _write_gap(token: re.Match[bytes], *, is_read: bool) -> bytes:
    if token.lastgroup == "text":
        return _TEXT_GAP if is_read else re.escape(token[0])
    return _NUMBER_GAP if is_read else _OTHER_NUMBER_GAP


def _round(whole: bytes, fraction: bytes, power: int) -> int:
    """Return a number that has more digits than are kept, as the long way rounds it."""
    value = round_decimal(Decimal(f"{whole.decode()}.{fraction.decode()}"), power)
    return _TOO_LARGE if value is None else value


def _read_time_ms(whole: bytes, fraction: bytes) -> int:
    """Return the Unix ms of seconds with a fraction, or of a text if `fraction` is empty; 0: none."""
    if fraction:
        return _round(whole, fraction, _MS_POWER)
    time_ms = parse_time_text(whole.decode(), "")
    return 0 if time_ms is None or isinstance(time_ms, Rejected) else time_ms
