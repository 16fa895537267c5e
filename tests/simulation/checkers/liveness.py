"""L1, L2, L3: after the network works again, everything goes on, and soon."""

from gateway.lab.cluster import SLOT_MS, Cluster
from ledger.consensus.state import DELTA_MS
from tests.simulation.checkers.chains import ChainChecker

BLOCKS_AFTER_MIN = 5  # L1, within a minute
FIRST_AFTER_MS = 2 * (SLOT_MS + 6 * DELTA_MS)  # L2


class LivenessChecker:
    """Remembers where everybody was when the network was mended."""

    def __init__(self, cluster: Cluster, chains: ChainChecker) -> None:
        self._cluster = cluster
        self._chains = chains
        self._healed_ms = 0
        self._heights: dict[bytes, int] = {}

    def note_heal(self) -> None:
        self._healed_ms = self._cluster.clockwork.now_ms
        self._heights = {node.name: node.height for node in self._cluster.nodes.values()}

    def check_end(self) -> None:
        for node in self._cluster.nodes.values():
            gained = node.height - self._heights[node.name]
            assert gained >= BLOCKS_AFTER_MIN, f"L1: only {gained} blocks after the heal"

    def first_after_heal_ms(self) -> int | None:
        """Return how long the first block took that nobody had before the heal."""
        newest = max(self._heights.values())
        firsts = [
            times[newest] for name, times in self._chains.times_ms.items() if len(times) > newest
        ]
        return min(firsts) - self._healed_ms if firsts else None
