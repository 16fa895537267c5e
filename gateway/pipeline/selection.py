"""Which readings of a batch go into a contract session: often enough, and not more than needed.

A meter's energy register is cumulative, so leaving readings out loses no energy; it only coarsens
the time at which it is known. The last reading of a batch always counts, so nothing waits for the
next batch, and a reading with which a value becomes invalid counts too: a pause must not be thinned
away.
"""

from collections.abc import Sequence

from ledger.types.reading import Reading


def select_for_session(
    readings: Sequence[Reading], after_sequence: int, last_time_ms: int, every_ms: int
) -> list[Reading]:
    """Return the readings to record, in order.

    Args:
        readings: consecutive readings of one batch.
        after_sequence: the newest sequence that the session has; older readings are left out.
        last_time_ms: gateway time (Unix ms) of the newest recorded reading.
        every_ms: record one reading when at least this much gateway time has passed.
    """
    chosen = []
    invalid: frozenset[str] = frozenset()
    for position, reading in enumerate(readings):
        invalid_before, invalid = invalid, _find_invalid(reading)
        if reading.sequence <= after_sequence:
            continue
        is_last = position == len(readings) - 1
        is_due = reading.gateway_time_ms - last_time_ms >= every_ms
        if is_last or is_due or invalid - invalid_before:
            chosen.append(reading)
            last_time_ms = reading.gateway_time_ms
    return chosen


def _find_invalid(reading: Reading) -> frozenset[str]:
    return frozenset(one.name for one in reading.quantities if one.value is None)
