"""The first state of a chain. The chain's id is the hash of its canonical bytes."""

from typing import Annotated

import msgspec
from msgspec import Meta

from ledger.crypto.domains import NO_HASH
from ledger.params import AGENTS_MAX, DAY_MS
from ledger.types.parameters import Parameters
from ledger.types.primitives import Address, Amount, Counter, Hash


class GenesisAgent(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """An agent of the first set: its node id and the keys its SmartAgent holds.

    `bond` is its stake beside the allocations, `onion` what it will reveal (zeros: nothing).
    """

    node: Address
    consensus: Address
    metering: Address
    bond: Amount = 0
    onion: Hash = NO_HASH


class Allocation(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """SSP base units that an account owns from the start."""

    address: Address
    amount: Amount


class Genesis(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A chain's name, start time (Unix ms), block interval, first agents and first balances.

    With a `foundation`, nodes need grants that chain up to its key; without one the network is open.
    `reward_pool` is what agents will earn; allocations, bonds and the pool are all SSP there ever is.
    An epoch ends after `epoch_blocks` blocks or `epoch_ms`, until the holders of stake vote otherwise.
    """

    version: Counter
    name: Annotated[str, Meta(min_length=1, max_length=48)]
    time_ms: Counter
    slot_ms: Annotated[int, Meta(ge=100, le=60_000)]
    heartbeat_ms: Annotated[int, Meta(ge=100, le=600_000)]
    agents: Annotated[tuple[GenesisAgent, ...], Meta(min_length=1, max_length=AGENTS_MAX)]
    allocations: tuple[Allocation, ...]
    foundation: Address | None = None
    reward_pool: Amount = 0
    epoch_blocks: Annotated[int, Meta(ge=1, le=100_000)] = Parameters().epoch_blocks
    epoch_ms: Annotated[int, Meta(ge=1_000, le=7 * DAY_MS)] = Parameters().epoch_ms
