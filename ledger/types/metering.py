"""Measurement records: what a meter showed at a moment that matters for a bill, signed by its gateway.

The form follows OCMF: pages without a gap, the state of meter and clock, marks for begin, tariff change and end.
A record is hashed and signed in these bytes; it also names the hash of the page before it.
"""

import enum
from typing import Annotated

import msgspec
from msgspec import Meta

from ledger.types.primitives import Address, Counter, Hash, Integer, Signature
from ledger.types.reading import ClockStatus, QuantityName, Scale, UnitName

FOREIGN_BYTES_MAX = 16 * 1024  # an OCMF text of a charging session is one or two kilobytes
RECORD_BYTES_MAX = FOREIGN_BYTES_MAX + 2 * 1024

MeterText = Annotated[str, Meta(max_length=50)]
TariffText = Annotated[str, Meta(max_length=250)]
SessionText = Annotated[str, Meta(max_length=64)]


class Mark(enum.IntEnum):
    """Why a record was made."""

    READING = 0  # in between, or on demand
    BEGIN = 1
    TARIFF = 2  # what follows is at another tariff
    END = 3
    ABORT = 4  # the end, because something failed


class MeterState(enum.IntEnum):
    """Whether the meter's value counts."""

    OK = 0
    TIMEOUT = 1
    DISCONNECTED = 2
    READ_ERROR = 3
    SUBSTITUTE = 4  # an older value stands for one that is missing


class Meter(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The meter as its profile and its owner know it."""

    device_id: Hash
    profile_hash: Hash
    vendor: MeterText
    model: MeterText
    serial: MeterText


class MeteringRecord(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """One page. `sequence` is the anchored reading that it repeats; `value * 10**scale` in `unit`.

    `foreign` holds what a calibrated meter signed itself, byte for byte, or nothing.
    """

    chain_id: Hash
    signer: Address
    meter: Meter
    page: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    previous: Hash
    sequence: Counter
    time_ms: Counter
    clock: ClockStatus
    mark: Mark
    state: MeterState
    quantity: QuantityName
    value: Integer | None
    scale: Scale
    unit: UnitName
    session: SessionText
    tariff: TariffText
    foreign: Annotated[bytes, Meta(max_length=FOREIGN_BYTES_MAX)] = b""


class SignedRecord(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A record's canonical bytes and the metering key's signature over `domains.measurement_message`."""

    payload: Annotated[bytes, Meta(max_length=RECORD_BYTES_MAX)]
    signature: Signature
