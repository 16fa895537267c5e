"""Where peers are said to listen, and whom to dial (consensus specification 1.11).

Rule 1: an address is a hint: whoever answers there proves its node id before it counts as that node.
Rule 2: between two nodes one connection is enough, and after a loss the node with the lower id makes it. The other
dials only where the lower one has not come within `PATIENCE_MS`: it may know no address, or be cut off.
Rule 3: configured peers stay for ever; what others told is bounded and forgotten when it fails.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ledger.network.wire import ADDRESSES_IN_MESSAGE_MAX, PeerAddress

FULL_MESH_MAX = 32  # nodes up to which everybody talks to everybody
NEIGHBOURS = 12  # beyond that: enough that no part of the network is cut off by chance
LEARNED_MAX = 256  # addresses that strangers made us remember
RETRY_FIRST_MS = 1_000
RETRY_MAX_MS = 60_000
PATIENCE_MS = 5_000
FAILURES_MAX = 10  # in a row, after which a learned address is forgotten


@dataclass(slots=True)
class _Entry:
    host: str
    port: int
    is_configured: bool
    since_ms: int
    failures: int = 0
    dial_at_ms: int = 0


class AddressBook:
    """The addresses that a node knows, and which of them to dial now."""

    def __init__(self, own_id: bytes) -> None:
        self._own_id = own_id
        self._entries: dict[bytes, _Entry] = {}

    def configure(self, peers: Iterable[PeerAddress], now_ms: int) -> None:
        """Take the operator's peers: they are dialled at once and for ever."""
        since_ms = now_ms - PATIENCE_MS
        for peer in peers:
            if peer.node != self._own_id:
                self._entries[peer.node] = _Entry(peer.host, peer.port, True, since_ms)

    def learn(self, peer: PeerAddress, now_ms: int) -> None:
        """Take a hint, unless the operator said otherwise or there are too many."""
        known = self._entries.get(peer.node)
        if peer.node == self._own_id or (known is not None and known.is_configured):
            return
        if known is not None:
            if (known.host, known.port) != (peer.host, peer.port) and known.failures:
                self._entries[peer.node] = _Entry(peer.host, peer.port, False, now_ms)
        elif sum(not entry.is_configured for entry in self._entries.values()) < LEARNED_MAX:
            self._entries[peer.node] = _Entry(peer.host, peer.port, False, now_ms)

    def address_of(self, node: bytes) -> tuple[str, int] | None:
        """Return host and port of a node, if any are known."""
        entry = self._entries.get(node)
        return None if entry is None else (entry.host, entry.port)

    def share(self, wanted: Collection[bytes]) -> tuple[PeerAddress, ...]:
        """Return addresses worth telling others: of these nodes, and never one that fails."""
        good = (
            PeerAddress(node, entry.host, entry.port)
            for node, entry in self._entries.items()
            if node in wanted and not entry.failures
        )
        return tuple(good)[:ADDRESSES_IN_MESSAGE_MAX]

    def to_dial(
        self, connected: Collection[bytes], agents: Collection[bytes], now_ms: int
    ) -> tuple[PeerAddress, ...]:
        """Return the peers to dial now, given who is connected and who matters most."""
        is_mesh = len(self._entries) <= FULL_MESH_MAX
        room = len(self._entries) if is_mesh else NEIGHBOURS - len(connected)
        due = [
            (not entry.is_configured, node not in agents, entry.dial_at_ms, node)
            for node, entry in self._entries.items()
            if node not in connected and self._is_due(node, entry, now_ms)
        ]
        chosen = sorted(due)[: max(0, room)]
        return tuple(
            PeerAddress(node, self._entries[node].host, self._entries[node].port)
            for *_, node in chosen
        )

    def note_failure(self, node: bytes, now_ms: int) -> None:
        """Wait longer before the next attempt; forget a learned address that never answers."""
        entry = self._entries.get(node)
        if entry is None:
            return
        entry.failures += 1
        entry.dial_at_ms = now_ms + min(RETRY_FIRST_MS << min(entry.failures - 1, 10), RETRY_MAX_MS)
        if entry.failures >= FAILURES_MAX and not entry.is_configured:
            del self._entries[node]

    def note_connected(self, node: bytes) -> None:
        """A connection to the node stands, whoever made it."""
        entry = self._entries.get(node)
        if entry is not None:
            entry.failures = 0
            entry.dial_at_ms = 0

    def note_lost(self, node: bytes, now_ms: int) -> None:
        """The connection ended: the lower id dials at once, the other gives it time."""
        entry = self._entries.get(node)
        if entry is not None:
            entry.since_ms = now_ms

    def _is_due(self, node: bytes, entry: _Entry, now_ms: int) -> bool:
        patience_ms = 0 if self._own_id < node else PATIENCE_MS
        return now_ms >= entry.dial_at_ms and now_ms >= entry.since_ms + patience_ms
