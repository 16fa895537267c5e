"""How far each device has come: its next sequence, and what waits for a batch.

The functions ask the database. `BacklogBook` keeps the same answers in memory for the writer, which
asks about every device several times a second; it follows the commits in their order.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.pipeline.batch import Backlog

ReadingRow = tuple[int, int, int, bytes]  # device key, sequence, gateway time (ms), encoded

_KEY_MAX = 2**63 - 1
# One statement, for a range of device keys: building a thousand would cost more than running them.
_POSITIONS = """
WITH position AS (
    SELECT
        device.device AS device,
        COALESCE((
            SELECT first + count FROM batch
            WHERE batch.device = device.device AND status <> 'failed' ORDER BY first DESC LIMIT 1
        ), 1) AS unanchored,
        COALESCE((
            SELECT MAX(sequence) FROM reading WHERE reading.device = device.device
        ), 0) AS newest
    FROM device
    WHERE device.device BETWEEN ? AND ?
)
SELECT position.device, unanchored, newest, gateway_time_ms
FROM position
LEFT JOIN reading ON reading.device = position.device AND reading.sequence = unanchored
"""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a device stands: the first sequence that no standing batch holds, and the newest stored.

    `newest` is 0 without a reading; `oldest_ms` is the gateway time of the first unanchored reading.
    """

    unanchored: int
    newest: int
    oldest_ms: int | None

    @property
    def next_sequence(self) -> int:
        """The sequence of the next reading; retention may have dropped all before it."""
        return max(self.newest + 1, self.unanchored)

    @property
    def backlog(self) -> Backlog:
        """How many readings wait for a batch, and the oldest one's gateway time."""
        if self.oldest_ms is None:
            return Backlog(0, 0)
        return Backlog(self.newest - self.unanchored + 1, self.oldest_ms)


def find_positions(connection: sqlite3.Connection) -> dict[int, Position]:
    """Return the position of every device by its key."""
    rows = connection.execute(_POSITIONS, (0, _KEY_MAX)).fetchall()
    return {device: Position(*position) for device, *position in rows}


def find_position(connection: sqlite3.Connection, device: int) -> Position:
    """Return the position of a device, which must exist."""
    [(_, unanchored, newest, oldest_ms)] = connection.execute(
        _POSITIONS, (device, device)
    ).fetchall()
    return Position(unanchored, newest, oldest_ms)


class BacklogBook:
    """The backlog of every device that has one, by device key."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._oldest_ms: dict[int, int] = {}

    def add(self, rows: Iterable[ReadingRow]) -> None:
        """Note committed readings."""
        counts = self._counts
        for device, _, gateway_time_ms, _ in rows:
            if device in counts:
                counts[device] += 1
            else:
                counts[device] = 1
                self._oldest_ms[device] = gateway_time_ms

    def put(self, device: int, backlog: Backlog) -> None:
        """Note a device's backlog as a commit left it."""
        if backlog.count:
            self._counts[device] = backlog.count
            self._oldest_ms[device] = backlog.oldest_ms
        else:
            self._counts.pop(device, None)

    def get(self, device: int) -> Backlog | None:
        """Return the backlog of a device, or None if nothing waits."""
        count = self._counts.get(device)
        return None if count is None else Backlog(count, self._oldest_ms[device])
