"""Unix milliseconds as people read them: ISO 8601 in UTC, always with milliseconds and `Z`."""

import re
from datetime import UTC, datetime, timedelta

from ledger.errors import CodecError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME_TEXT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z", re.ASCII)
TIME_TEXT_MAX_MS = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z: ISO 8601 years have four digits


def format_time_ms(time_ms: int) -> str:
    """Return `2026-01-31T12:00:00.000Z`; a time past the year 9999 stays a number of milliseconds."""
    assert time_ms >= 0
    if time_ms > TIME_TEXT_MAX_MS:
        return str(time_ms)
    moment = _EPOCH + timedelta(milliseconds=time_ms)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time_ms % 1000:03}Z"


def parse_time_ms(text: str) -> int:
    """Return the Unix milliseconds of an ISO 8601 time in UTC; raise `CodecError` for other text."""
    example = '"2026-01-31T12:00:00Z"'
    if not _TIME_TEXT.fullmatch(text):
        raise CodecError(f"{text[:40]!r} is not a UTC time such as {example}")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise CodecError(f"{text!r} is not a time of the calendar: {error}") from None
    if moment < _EPOCH:
        raise CodecError(f"{text!r} lies before 1970")
    return (moment - _EPOCH) // timedelta(milliseconds=1)
