"""The agents of one epoch, as they lead, vote and are named in bitmaps."""

from typing import Annotated

import msgspec
from msgspec import Meta

from ledger.codec import canonical
from ledger.crypto.domains import agent_set_hash
from ledger.params import AGENTS_MAX
from ledger.types.primitives import Address, Counter, Hash


class Seat(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """One agent of a set. `onion` is its last accepted onion value when the set took over."""

    node: Address
    consensus: Address
    onion: Hash


class AgentSet(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The set of `epoch`, in the order of node ids: a seat's index is its voter number and its bit.

    `order_seed` gives the order of leaders (`ledger.types.order`).
    """

    epoch: Counter
    order_seed: Hash
    seats: Annotated[tuple[Seat, ...], Meta(min_length=1, max_length=AGENTS_MAX)]


def hash_agent_set(agents: AgentSet) -> bytes:
    """Return the 32 bytes by which an end block's header names the next set."""
    return agent_set_hash(canonical.encode(agents))
