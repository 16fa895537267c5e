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
from operator import add
from typing import Self

import msgspec

from gateway.errors import Rejected
from gateway.model.observation import Measured
from gateway.profiles.rounding import INTEGER_MAX, Rounder, round_decimal
from gateway.profiles.source_time import SOURCE_TIME_MAX_MS, parse_time_text
from ledger.types.reading import Quantity

PAYLOAD_BYTES_MAX = 2 * 1024  # an expression takes some ten times as much memory
_MS_POWER = 3  # of ten: from seconds

_TOO_LARGE = INTEGER_MAX + 1  # out of every range

_TOKEN = re.compile(
    rb'(?P<text>"(?:[^"\\]|\\.)*")|(?P<number>-?[0-9]+(?:\.[0-9]+)?(?![0-9.eE]))|[0-9]', re.DOTALL
)
# Each gap that is read has two groups: the digits before the point and those after it.
_NUMBER_GAP = rb"(-?(?:[1-9][0-9]{0,17}|0))(?:\.([0-9]{1,18})|)"
_OTHER_NUMBER_GAP = rb"-?(?:[1-9][0-9]{0,17}|0)(?:\.[0-9]{1,18}|)"
_TEXT_GAP = rb'"([0-9A-Z:+. -]{1,40})()"'
_FRAME = b"\n"  # stands before and after each of many messages that are matched together

_decode_integers = msgspec.json.Decoder(list[int]).decode  # many at once: sooner than `int` of each

LookUp = Callable[[bytes], Sequence[object]]
"""Returns the value for each quantity of a message, then the time's if there is one; None: absent."""

Row = tuple[bytes, ...]
"""The groups of a match; of an optional one that is absent, nothing."""


class _Number:
    """Reads a gap's numbers as integers at a scale, `power` digits after the point."""

    def __init__(self, power: int) -> None:
        self._power = power
        self._factors: tuple[int, ...] = tuple(
            10 ** (power - digits) for digits in range(power + 1)
        )

    def read(self, whole: bytes, fraction: bytes) -> int:
        """Return one number; `_TOO_LARGE` if it has too many digits."""
        if len(fraction) <= self._power:
            return int(whole + fraction) * self._factors[len(fraction)]
        value = round_decimal(Decimal(f"{whole.decode()}.{fraction.decode()}"), self._power)
        return _TOO_LARGE if value is None else value

    def read_all(self, wholes: Sequence[bytes], fractions: Sequence[bytes]) -> list[int]:
        """Return many numbers: soonest where all have as many digits after the point, and none is 0."""
        digits, *others = set(map(len, fractions))
        if others or digits > self._power:
            return list(map(self.read, wholes, fractions))
        texts = list(map(add, wholes, fractions)) if digits else wholes
        zeros = b"0" * (self._power - digits)
        try:
            return _decode_integers(b"[%b%b]" % ((zeros + b",").join(texts), zeros))
        except msgspec.DecodeError:  # a leading zero, as in 05 of 0.5, is no JSON
            factor = self._factors[digits]
            return [int(text) * factor for text in texts]


class _TimeText:
    """Reads a gap's texts as Unix ms; 0 is no time."""

    def read_all(self, texts: Sequence[bytes], _: Sequence[bytes]) -> list[int]:
        """Return many times."""
        times = (parse_time_text(text.decode(), "") for text in texts)
        return [0 if time is None or isinstance(time, Rejected) else time for time in times]


class JsonTemplate:
    """Decodes messages that are written like the one it was learned from."""

    def __init__(
        self,
        expression: bytes,
        places: Sequence[int | None],
        rounders: Sequence[Rounder],
        time: tuple[int, _Number | _TimeText] | None,
    ) -> None:
        """Use `learn`. A place is the index of a value's first group in the match."""
        self._match = re.compile(expression).fullmatch
        framed = re.compile(_FRAME + expression + _FRAME)
        self._find_framed = None if b"\n" in expression else framed.findall
        self._fields = tuple(
            (place, _Number(one.power), one) for place, one in zip(places, rounders, strict=True)
        )
        self._time = time

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
        time = None
        if len(places) > len(rounders) and (place := places[-1]) is not None:
            is_text = tokens[read[place // 2]].lastgroup == "text"
            time = place, _TimeText() if is_text else _Number(_MS_POWER)
        expression = _build_expression(payload, tokens, read)
        return cls(expression, places[: len(rounders)], rounders, time)

    def decode(self, payload: bytes) -> Measured | None:
        """Return what a message says, or None if the long way must tell."""
        return self.decode_all((payload,))[0]

    def decode_all(self, payloads: Sequence[bytes]) -> list[Measured | None]:
        """Return what each of many messages says; None where the long way must tell."""
        rows = self._match_together(payloads)
        if rows is not None:
            return self._read(rows)
        found = [self._match(payload) for payload in payloads]
        read = iter(self._read([one.groups(b"") for one in found if one is not None]))
        return [None if one is None else next(read) for one in found]

    def _match_together(self, payloads: Sequence[bytes]) -> list[Row] | None:
        """Return each message's groups from one search through all, or None: match each by itself.

        No message can change how another is read: none holds a frame's byte, and neither does what
        the expression matches between its two. So each find is one whole message, and as many
        finds as messages are all of them, in order.
        """
        if self._find_framed is None or len(payloads) == 1:
            return None
        framed = b"%b%b%b" % (_FRAME, (_FRAME + _FRAME).join(payloads), _FRAME)
        if framed.count(_FRAME) != 2 * len(payloads):
            return None
        rows: list[Row] = self._find_framed(framed)
        return rows if len(rows) == len(payloads) else None

    def _read(self, rows: Sequence[Row]) -> list[Measured | None]:
        """Return what messages say whose groups are `rows`, column by column."""
        if not rows:
            return []
        columns = list(zip(*rows, strict=True))
        quantities = []
        for place, number, one in self._fields:
            nothing = one.quantity(None)
            if place is None:
                quantities.append([nothing] * len(rows))
                continue
            low, high, name, scale, unit = one.low, one.high, one.name, one.scale, one.unit
            quantities.append(
                [
                    Quantity(name, value, scale, unit) if low <= value <= high else nothing
                    for value in number.read_all(columns[place], columns[place + 1])
                ]
            )
        measured = zip(*quantities, strict=True)
        if self._time is None:
            return [Measured(values) for values in measured]
        place, time = self._time
        times = time.read_all(columns[place], columns[place + 1])
        if min(times) > 0 and max(times) <= SOURCE_TIME_MAX_MS:
            return list(map(Measured, measured, times))
        return [
            Measured(values, time_ms) if 0 < time_ms <= SOURCE_TIME_MAX_MS else None
            for values, time_ms in zip(measured, times, strict=True)
        ]


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
