"""The order commitment: a hash onion that the node opens one layer at a time, one in each block it leads.

commitment = H^m(seed), H = SHA-256, m = `LAYERS`; a reveal is the preimage of the value accepted last. Pure.
Rule: a layer is opened only for who shows the one around it. So nobody learns a later layer from here than
the one after what he has already, and no counter can be lost: the chain keeps the place.
"""

from collections.abc import Iterator

from ledger.crypto.hashing import hkdf, sha256, sha256_repeated

LAYERS = 2**20  # twelve years of one block in 300 s; then the node commits to its next onion
CHECKPOINT_LAYERS = 1_000  # 1,049 values in memory; a reveal costs at most two thousand hashes
GENERATION_MAX = 65_535


class Onion:
    """One onion: the agent's `generation`-th (from 1). Its making is a million hashes, a chunk at a time."""

    def __init__(self, secret: bytes, generation: int, layers: int = LAYERS) -> None:
        self.generation = generation
        self._layers = layers
        self._checkpoints: list[bytes] = []  # H^0, H^1000, H^2000, ...
        self._index: dict[bytes, int] = {}  # of a checkpoint, and of the commitment at last
        self._value = hkdf(secret, f"ssp/onion/{generation}")
        self._making = self._make()

    def __repr__(self) -> str:
        return f"Onion({self.generation})"

    def make_some(self) -> bool:
        """Hash one chunk; return whether there is more to do."""
        return next(self._making, None) is not None

    def commitment(self) -> bytes:
        """Return H^m(seed)."""
        self._finish()
        return self._value

    def depth_of(self, value: bytes) -> int | None:
        """Return how often the seed was hashed to get `value`; None when it is not one of our layers."""
        self._finish()
        for steps in range(CHECKPOINT_LAYERS + 1):
            depth = self._index.get(value)
            if depth is not None:
                return depth - steps if depth >= steps else None
            value = sha256(value)
        return None

    def layer(self, depth: int) -> bytes:
        """Return H^depth(seed)."""
        self._finish()
        start, steps = divmod(depth, CHECKPOINT_LAYERS)
        return sha256_repeated(self._checkpoints[start], steps)

    def _finish(self) -> None:
        for _ in self._making:
            pass

    def _make(self) -> Iterator[bool]:
        value = self._value
        for depth in range(0, self._layers, CHECKPOINT_LAYERS):
            self._checkpoints.append(value)
            self._index[value] = depth
            value = sha256_repeated(value, min(CHECKPOINT_LAYERS, self._layers - depth))
            yield True
        self._index[value] = self._layers
        self._value = value
