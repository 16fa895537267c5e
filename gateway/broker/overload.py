"""Whether the broker is asked for more than it can give, in words for its health. Pure."""

from collections import deque

import msgspec

from gateway.health import Overload

_WINDOW_MS = 60_000
_SAMPLES_MAX = 240  # health is asked for once a second, and by whoever wants to know
_BUDGET_SHARE = 2  # half of what may wait for clients is worth a word


class BrokerLoad(msgspec.Struct, frozen=True):
    """What the broker holds now, beside what was too much for it.

    `largest` is the session that most waits for; `slow` are connections whose peer does not read.
    """

    overload: Overload
    connections: int
    connections_max: int
    held_bytes: int
    held_bytes_max: int
    largest: str
    slow: int


class OverloadWatch:
    """Compares loads over the last minute."""

    def __init__(self) -> None:
        self._samples: deque[tuple[int, Overload]] = deque(maxlen=_SAMPLES_MAX)

    def problems(self, load: BrokerLoad, now_ms: int) -> tuple[str, ...]:
        """Return one line for each thing that is too much, none when all is well."""
        samples, now = self._samples, load.overload
        samples.append((now_ms, now))
        while samples[0][0] < now_ms - _WINDOW_MS:
            samples.popleft()
        before = samples[0][1]
        refused = now.refused_connections - before.refused_connections
        dropped = now.dropped - before.dropped
        cut_off = now.cut_off - before.cut_off
        lines: list[str] = []
        if refused:
            lines.append(
                f"MQTT: {refused} connections were refused in the last minute "
                f"({load.connections} of {load.connections_max} are open)"
            )
        if dropped:
            lines.append(
                f"MQTT: {dropped} messages were dropped in the last minute, for clients that read "
                f"too slowly or beyond a limit{_whom(load)}"
            )
        if cut_off:
            lines.append(
                f"MQTT: {cut_off} clients were cut off in the last minute: they did not read"
            )
        if now.throttled:
            lines.append(
                f"MQTT: devices send more than they may and are slowed down: {_names(now)}"
            )
        if load.held_bytes * _BUDGET_SHARE >= load.held_bytes_max:
            lines.append(
                f"MQTT: {load.held_bytes >> 20} of {load.held_bytes_max >> 20} MiB wait for clients"
                f"{_whom(load)}; {load.slow} of them do not read"
            )
        if now.waiting:
            lines.append(
                f"MQTT: readings come faster than the disk takes them: {now.waiting} connections wait"
            )
        return tuple(lines)


def _whom(load: BrokerLoad) -> str:
    return f"; most for {load.largest}" if load.largest else ""


def _names(overload: Overload) -> str:
    more = overload.throttled_count - len(overload.throttled)
    return ", ".join(overload.throttled) + (f" and {more} more" if more else "")
