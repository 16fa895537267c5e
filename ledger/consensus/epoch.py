"""An epoch: its agents in order, who leads which slot, and the final block it stands on (1.3, 1.6)."""

from dataclasses import dataclass
from functools import lru_cache

from ledger.consensus.certificate import compute_quorum
from ledger.types.order import compute_order

LAPS_CACHED = 8  # the running lap and its neighbours, for a few nodes in one process


@dataclass(frozen=True, slots=True)
class Tip:
    """A final block as its successor refers to it; slot 0 is the root of an epoch."""

    height: int
    slot: int
    hash: bytes
    time_ms: int


@dataclass(frozen=True, slots=True)
class Epoch:
    """The set of an epoch: seat i has node id `nodes[i]` and consensus key `keys[i]`.

    `root` is the final block before its first one, with slot 0. `our_seat` is None for a follower.
    """

    number: int
    nodes: tuple[bytes, ...]
    keys: tuple[bytes, ...]
    order_seed: bytes
    root: Tip
    our_seat: int | None

    @property
    def size(self) -> int:
        """How many agents the set has."""
        return len(self.keys)

    @property
    def quorum(self) -> int:
        """How many of them must sign."""
        return compute_quorum(len(self.keys))

    @property
    def is_ours_alone(self) -> bool:
        """Whether we are the whole set: there is nobody to wait for. Followers may listen."""
        return self.our_seat is not None and len(self.keys) == 1

    def leader(self, slot: int) -> int:
        """Return the seat that leads a slot from 1: a fresh permutation each lap."""
        lap, place = divmod(slot - 1, len(self.keys))
        return order_of_lap(self.order_seed, self.number, lap, len(self.keys))[place]


@lru_cache(maxsize=LAPS_CACHED)
def order_of_lap(seed: bytes, epoch: int, lap: int, count: int) -> tuple[int, ...]:
    """Return the seats in the order in which they lead in a lap, from 0."""
    return compute_order(seed, epoch, lap, count)
