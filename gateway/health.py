"""How well the gateway does: named checks, each fine or with one line that says what is wrong."""

import msgspec


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
    problems: tuple[str, ...] = ()
