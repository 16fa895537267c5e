"""How well the gateway does: named checks, each fine or with one line that says what is wrong."""

import msgspec

THROTTLED_MAX = 20  # names; of more, only how many


class Overload(msgspec.Struct, frozen=True):
    """What was too much for the gateway's own broker. Counts are since the process started.

    `throttled` are devices that were slowed down in the last minute; `cut_off` counts clients that did
    not read, `waiting` the connections that are not read from until their readings are on disk.
    """

    throttled: tuple[str, ...] = ()
    throttled_count: int = 0
    cut_off: int = 0
    refused_connections: int = 0
    dropped: int = 0
    waiting: int = 0


class Health(msgspec.Struct):
    """The retained `bridge/health` message. `problems` is empty when all is well.

    Counts are since the process started; `readings_per_second` is over the last second.
    """

    name: str
    version: str
    node: str
    readings: int = 0
    readings_per_second: int = 0
    rejected: int = 0
    anchored: int = 0
    pending_transactions: int = 0
    connections: int = 0
    devices: dict[str, str] = {}
    overload: Overload = Overload()
    problems: tuple[str, ...] = ()
