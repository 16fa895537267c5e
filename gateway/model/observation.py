"""What connectors hand to the store, and what the store hands on."""

from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from gateway.errors import Rejected
from ledger.types.reading import Quantity, Reading


@dataclass(frozen=True, slots=True)
class Observation:
    """One decoded message or poll of a device, not yet stored.

    `source_time_ms` is the device's own clock (Unix ms) where it has one.
    """

    device: str
    quantities: tuple[Quantity, ...]
    source_time_ms: int | None = None


class Measured(msgspec.Struct, frozen=True, gc=False):
    """What a profile made of one message: fit to be a reading as it is.

    That is: 1 to `READING_QUANTITIES_MAX` quantities with the names, scales and units of a checked
    profile, each value within 64 bits or None; the device's own clock (Unix ms), not negative and
    within 64 bits, or None.
    """

    quantities: tuple[Quantity, ...]
    source_time_ms: int | None = None


Decoded: TypeAlias = Measured | Rejected | None
"""What became of one message; None: there is nothing wrong, and no reading in it."""


@dataclass(frozen=True, slots=True)
class StoredReading:
    """A reading that is on disk: the device's local name, the value, and its canonical bytes."""

    device: str
    reading: Reading
    encoded: bytes


@dataclass(frozen=True, slots=True)
class DeviceMessage:
    """A message that an authenticated device published on one of its telemetry topics."""

    device: str
    topic: str
    payload: bytes
