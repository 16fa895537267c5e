"""Who must go when the mempool is full.

Rule 1: only what offers a lower fee rate than the newcomer makes room.
Rule 2: of the sender of the cheapest transaction, the one with the highest nonce goes: so its queue
keeps no hole, and one newcomer never costs a sender more places than it needs.
Rule 3: a newcomer for whom there is not enough room evicts nothing.
Rule 4: an accusation stays, and so does what its sender has waiting before it.
"""

from ledger.mempool.waiting import Entry, Waiting


def choose_evicted(
    waiting: Waiting, newcomer: Entry, *, count: int, size: int
) -> list[Entry] | None:
    """Return entries that free `count` places and `size` bytes; None where that is not possible."""
    popped: list[Entry] = []
    evicted: list[Entry] = []
    tails: dict[bytes, list[Entry]] = {}
    while count > 0 or size > 0:
        cheapest = waiting.pop_cheapest()
        if cheapest is None:
            break
        popped.append(cheapest)
        if cheapest.fee_rate >= newcomer.fee_rate:
            break
        if cheapest.sender == newcomer.sender:
            continue
        if cheapest.sender not in tails:
            tails[cheapest.sender] = _list_evictable(waiting, cheapest.sender)
        if not tails[cheapest.sender]:
            continue
        last = tails[cheapest.sender].pop()
        evicted.append(last)
        count, size = count - 1, size - last.checked.size
    for entry in popped:
        waiting.push_back(entry)
    return evicted if count <= 0 and size <= 0 else None


def _list_evictable(waiting: Waiting, sender: bytes) -> list[Entry]:
    """Return what may go of a sender's queue, by nonce: what stands behind its last accusation."""
    queue = waiting.queue(sender)
    last_kept = waiting.last_accusation(sender)
    return [queue[nonce] for nonce in sorted(queue) if nonce > last_kept]
