"""How far each device has come: its next sequence, and what waits for a batch.

The functions ask the database. `ProgressBook` keeps the same answers in memory for the writer, which
asks about every device several times a second; it follows the commits in their order.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gateway.pipeline.batch import Backlog
from gateway.readings.pages import read_pages
from gateway.readings.runs import Run, decode_reading

_KEY_MAX = 2**63 - 1
# One statement, for a range of device keys: building a thousand would cost more than running them.
_POSITIONS = """
SELECT
    device.device,
    COALESCE((
        SELECT first + count FROM batch
        WHERE batch.device = device.device AND status <> 'failed' ORDER BY first DESC LIMIT 1
    ), 1),
    COALESCE((
        SELECT first + count - 1 FROM page
        WHERE page.device = device.device ORDER BY first DESC LIMIT 1
    ), 0)
FROM device
WHERE device.device BETWEEN ? AND ?
"""
_UNANCHORED = """
SELECT first + count FROM batch WHERE device = ? AND status <> 'failed' ORDER BY first DESC LIMIT 1
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


def find_positions(
    connection: sqlite3.Connection, logged: Mapping[int, Run]
) -> dict[int, Position]:
    """Return the position of every device by its key; `logged` is what the log holds."""
    rows = connection.execute(_POSITIONS, (0, _KEY_MAX)).fetchall()
    return {
        device: _locate(connection, device, unanchored, paged, logged.get(device))
        for device, unanchored, paged in rows
    }


def find_position(connection: sqlite3.Connection, device: int, logged: Run | None) -> Position:
    """Return the position of a device, which must exist; `logged` is what the log holds of it."""
    [(_, unanchored, paged)] = connection.execute(_POSITIONS, (device, device)).fetchall()
    return _locate(connection, device, unanchored, paged, logged)


def find_unanchored(connection: sqlite3.Connection, device: int) -> int:
    """Return the first sequence of a device that no standing batch holds."""
    found = connection.execute(_UNANCHORED, (device,)).fetchone()
    return 1 if found is None else int(found[0])


def find_time_ms(connection: sqlite3.Connection, device: int, sequence: int) -> int | None:
    """Return the gateway time of a reading in a page, or None if no page holds it."""
    for _, encoded in read_pages(connection, device, sequence, sequence):
        return decode_reading(encoded).gateway_time_ms
    return None


def _locate(
    connection: sqlite3.Connection, device: int, unanchored: int, paged: int, logged: Run | None
) -> Position:
    newest = paged if logged is None else max(paged, logged.last)
    if unanchored > newest:
        return Position(unanchored, newest, None)
    if logged is not None and unanchored >= logged.first:
        encoded = logged.readings[unanchored - logged.first]
        return Position(unanchored, newest, decode_reading(encoded).gateway_time_ms)
    return Position(unanchored, newest, find_time_ms(connection, device, unanchored))


class ProgressBook:
    """The position of every device, by its key."""

    def __init__(self, positions: Mapping[int, Position]) -> None:
        self._newest = {device: one.newest for device, one in positions.items()}
        self._unanchored = {device: one.unanchored for device, one in positions.items()}
        self._oldest_ms = {
            device: one.oldest_ms for device, one in positions.items() if one.oldest_ms is not None
        }

    def add(self, runs: Iterable[Run]) -> None:
        """Note committed readings."""
        newest, oldest_ms = self._newest, self._oldest_ms
        for run in runs:
            device = run.device
            newest[device] = run.first + len(run.readings) - 1
            if device not in oldest_ms:
                oldest_ms[device] = decode_reading(run.readings[0]).gateway_time_ms

    def is_behind(self, device: int, unanchored: int) -> bool:
        """Tell whether the device has a reading with sequence `unanchored`."""
        return unanchored <= self._newest.get(device, 0)

    def put(self, device: int, unanchored: int, oldest_ms: int | None) -> None:
        """Note the first sequence that no standing batch holds, and that reading's gateway time."""
        self._unanchored[device] = unanchored
        if oldest_ms is None:
            self._oldest_ms.pop(device, None)
        else:
            self._oldest_ms[device] = oldest_ms

    def backlog(self, device: int) -> Backlog | None:
        """Return the backlog of a device, or None if nothing waits."""
        oldest_ms = self._oldest_ms.get(device)
        if oldest_ms is None:
            return None
        return Backlog(self._newest[device] - self._unanchored.get(device, 1) + 1, oldest_ms)
