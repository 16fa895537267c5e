"""Dropping old blocks: in the transaction of a new one, some at a time, so no block waits for long.

Rule: the blocks that end epochs stay with their proofs: receipts, state proofs and snapshots stand on
them. So does everything from the newest of them on.
"""

import sqlite3
from collections.abc import Callable, Sequence

from ledger.storage.bodies import list_places

PRUNED_HEIGHT = "pruned_height"  # the name of a fact in `meta`
HEIGHT_BYTES = 8
# A block that comes takes 32 old ones away, so a database that was kept whole shrinks within hours.
PRUNED_AT_ONCE = 32

_FIND_PRUNED = "SELECT value FROM meta WHERE name = ?"
_FIND_NEWEST_END = "SELECT MAX(height) FROM agent_set"
_GET_BODIES = "SELECT height, body FROM block WHERE height BETWEEN ? AND ?"
_DROP_PLACE = "DELETE FROM place WHERE short_id = ? AND height = ? AND position = ?"
_DROP_BLOCKS = "DELETE FROM block WHERE height BETWEEN ? AND ? AND height NOT IN (SELECT height FROM agent_set)"
_DROP_BODIES = "UPDATE block SET body = x'' WHERE height BETWEEN ? AND ?"
_PUT_PRUNED = "INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)"


def prune_blocks(
    connection: sqlite3.Connection,
    height: int,
    keep_blocks: int,
    list_ids: Callable[[int, bytes], Sequence[bytes]],
) -> None:
    """Drop old blocks after the one at `height` was written, so that the newest `keep_blocks` stay.

    `list_ids` returns the ids of the transactions in a block's body, given its height and the stored body.
    """
    newest_end = connection.execute(_FIND_NEWEST_END).fetchone()[0] or 0
    found = connection.execute(_FIND_PRUNED, (PRUNED_HEIGHT,)).fetchone()
    first = (0 if found is None else int.from_bytes(found[0], "big")) + 1
    last = min(height - keep_blocks, newest_end - 1, first + PRUNED_AT_ONCE - 1)
    if last < first:
        return
    for at, body in connection.execute(_GET_BODIES, (first, last)).fetchall():
        connection.executemany(_DROP_PLACE, list_places(list_ids(at, body), at))
    connection.execute(_DROP_BLOCKS, (first, last))
    connection.execute(_DROP_BODIES, (first, last))  # of those that end epochs
    connection.execute(_PUT_PRUNED, (PRUNED_HEIGHT, last.to_bytes(HEIGHT_BYTES, "big")))
