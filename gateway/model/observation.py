"""What connectors hand to the store, and what the store hands on."""

from dataclasses import dataclass

from ledger.types.reading import Quantity, Reading


@dataclass(frozen=True, slots=True)
class Observation:
    """One decoded message or poll of a device, not yet stored.

    `source_time_ms` is the device's own clock (Unix ms) where it has one.
    """

    device: str
    quantities: tuple[Quantity, ...]
    source_time_ms: int | None = None


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
