"""What judging an identity needs to know from the chain and from our clock, as plain values."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Moment:
    """The time at which something is judged, Unix milliseconds.

    Without a trusted clock it is the newest final block's time: certainly not later than now.
    """

    time_ms: int
    is_trusted: bool


@dataclass(frozen=True, slots=True)
class LeaseFacts:
    """Which running instance holds a node's identity; it counts as alive before `alive_until_ms`.

    `known_at_ms` is the time of the newest block: a chain that stands still says nothing of who runs now.
    """

    instance: bytes
    alive_until_ms: int
    known_at_ms: int


class IdentityFacts(Protocol):
    """The chain's word on identities. `foundation` is None in an open network, which needs no grants."""

    @property
    def chain_id(self) -> bytes:
        """The chain's 32-byte id."""
        ...

    @property
    def foundation(self) -> bytes | None:
        """The key that grants chain up to, named in the genesis."""
        ...

    def is_revoked(self, grant_id: bytes, /) -> bool:
        """Tell whether a grant is revoked and not reinstated."""
        ...

    def is_retired(self, node_id: bytes, /) -> bool:
        """Tell whether a node was replaced or given up for good."""
        ...

    def is_listed(self, measurement: bytes, /) -> bool:
        """Tell whether a software measurement is on the chain's list."""
        ...

    def lease(self, node_id: bytes, /) -> LeaseFacts | None:
        """Return who holds the node's identity, or None where nobody ever did."""
        ...
