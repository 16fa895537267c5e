"""Whether the broker is asked for more than it can give, in words for its health. Pure."""

from collections import deque

import msgspec

_WINDOW_MS = 60_000
_SAMPLES_MAX = 240  # health is asked for once a second, and by whoever wants to know
_BUDGET_SHARE = 2  # half of what may wait for clients is worth a word


class BrokerLoad(msgspec.Struct, frozen=True):
    """What the broker holds now; `refused_connections` and `dropped` count since the start.

    `largest` is the session that most waits for; `slow` are connections whose peer does not read,
    `waiting` those that are not read from until their readings are on disk.
    """

    connections: int
    connections_max: int
    refused_connections: int
    dropped: int
    held_bytes: int
    held_bytes_max: int
    largest: str
    slow: int
    waiting: int


class OverloadWatch:
    """Compares loads over the last minute."""

    def __init__(self) -> None:
        self._samples: deque[tuple[int, int, int]] = deque(maxlen=_SAMPLES_MAX)

    def problems(self, load: BrokerLoad, now_ms: int) -> tuple[str, ...]:
        """Return one line for each thing that is too much, none when all is well."""
        samples = self._samples
        samples.append((now_ms, load.refused_connections, load.dropped))
        while samples[0][0] < now_ms - _WINDOW_MS:
            samples.popleft()
        _, refused_before, dropped_before = samples[0]
        refused = load.refused_connections - refused_before
        dropped = load.dropped - dropped_before
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
        if load.held_bytes * _BUDGET_SHARE >= load.held_bytes_max:
            lines.append(
                f"MQTT: {load.held_bytes >> 20} of {load.held_bytes_max >> 20} MiB wait for clients"
                f"{_whom(load)}; {load.slow} of them do not read"
            )
        if load.waiting:
            lines.append(
                f"MQTT: readings come faster than the disk takes them: {load.waiting} connections wait"
            )
        return tuple(lines)


def _whom(load: BrokerLoad) -> str:
    return f"; most for {load.largest}" if load.largest else ""
