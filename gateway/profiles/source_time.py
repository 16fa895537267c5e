"""The time that a device says in a message: Unix milliseconds from 1970 to 9999, or none."""

from datetime import UTC, datetime, timedelta

from gateway.errors import Rejected, RejectReason

SOURCE_TIME_MAX_MS = 253_402_300_799_999  # the end of the year 9999
_TIME_CHARACTERS_MAX = 40  # more than any ISO 8601 form of one moment in microseconds
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def bound_time_ms(time_ms: int | None) -> int | None:
    """Return a time from 1970 to 9999; None for any other, and for the 0 of a clock not yet set."""
    return time_ms if time_ms is not None and 0 < time_ms <= SOURCE_TIME_MAX_MS else None


def parse_time_text(text: str, path: str) -> int | Rejected | None:
    """Return the Unix ms of ISO 8601 text; None without an offset: whose local time is unknown."""
    if len(text) > _TIME_CHARACTERS_MAX:
        return _malformed(f"{path} is longer than {_TIME_CHARACTERS_MAX} characters")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return _malformed(f"{path} is not ISO 8601 text such as 2026-01-31T12:00:00Z")
    if moment.tzinfo is None:
        return None
    return bound_time_ms((moment - _EPOCH) // timedelta(milliseconds=1))


def _malformed(what: str) -> Rejected:
    return Rejected(RejectReason.MALFORMED, f"payload: {what}")
