"""A reading: what one device said at one moment, in the exact bytes that are anchored.

The salt keeps a receipt's audit path from revealing its neighbours: a reading has few likely
values, so without it a bare hash could be guessed.
"""

import enum
from typing import Annotated

import msgspec
from msgspec import Meta

from ledger.params import READING_QUANTITIES_MAX
from ledger.types.primitives import Counter, Hash, Integer, Salt

QuantityName = Annotated[str, Meta(min_length=1, max_length=48, pattern=r"^[a-z][a-z0-9_]*\Z")]
UnitName = Annotated[str, Meta(max_length=16)]
Scale = Annotated[int, Meta(ge=-18, le=18)]


class ClockStatus(enum.IntEnum):
    """How far the gateway's own time of a reading can be trusted."""

    UNSYNCHRONISED = 0  # no time source yet: informative only
    SYNCHRONISED = 1
    SIMULATED = 2  # a demonstration or test runs time faster


class Quantity(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, gc=False):
    """One measured value: `value * 10**scale` in `unit`; None where the device gave no valid value."""

    name: QuantityName
    value: Integer | None
    scale: Scale
    unit: UnitName


class Reading(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """One reading. `sequence` counts from 1 without a gap per device; times are Unix milliseconds."""

    device_id: Hash
    sequence: Counter
    profile_hash: Hash
    source_time_ms: Counter | None
    gateway_time_ms: Counter
    clock: ClockStatus
    quantities: Annotated[tuple[Quantity, ...], Meta(max_length=READING_QUANTITIES_MAX)]
    salt: Salt


class ReadingProof(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Evidence that `reading` (canonical bytes) is leaf `index` of an anchor of its device.

    `anchor_first` is the sequence with which that anchor starts.
    """

    reading: bytes
    anchor_first: Counter
    index: Counter
    path: Annotated[tuple[Hash, ...], Meta(max_length=16)]
