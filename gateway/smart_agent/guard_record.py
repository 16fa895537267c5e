"""The sign guard's 512-byte slots: a counter, a record and a CRC-32 of both.

magic 8 | counter u64 | epoch u32 | slot u64 | flags u8 | notarised 32 | finalised 32 | zeros | crc u32
A slot is good only when it is, byte for byte, the encoding of what it decodes to.
"""

import struct
import zlib
from dataclasses import dataclass

from gateway.smart_agent.judge import SignRecord
from ledger.crypto.domains import NO_HASH

SLOT_BYTES = 512  # the unit that every disk writes whole, or nearly so
COUNTER_MAX = 2**64 - 1

_MAGIC = b"ssgrd/1\0"
_LAYOUT = struct.Struct(">8sQIQB32s32s")
_CRC = struct.Struct(">I")
_PADDING = bytes(SLOT_BYTES - _LAYOUT.size - _CRC.size)
_HAS_NOTARIZED, _HAS_NULLIFIED, _HAS_FINALIZED = 1, 2, 4


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record with the count of writes that led to it."""

    counter: int
    record: SignRecord


def encode_slot(stored: StoredRecord) -> bytes:
    """Return the 512 bytes of a stored record."""
    record = stored.record
    flags = (
        _HAS_NOTARIZED * (record.notarized is not None)
        | _HAS_NULLIFIED * record.nullified
        | _HAS_FINALIZED * (record.finalized is not None)
    )
    body = _LAYOUT.pack(
        _MAGIC,
        stored.counter,
        record.epoch,
        record.slot,
        flags,
        record.notarized or NO_HASH,
        record.finalized or NO_HASH,
    )
    return body + _PADDING + _CRC.pack(zlib.crc32(body + _PADDING))


def decode_slot(data: bytes) -> StoredRecord | None:
    """Return the record of a slot, or None for anything that `encode_slot` did not make whole."""
    if len(data) != SLOT_BYTES:
        return None
    _, counter, epoch, slot, flags, notarized, finalized = _LAYOUT.unpack_from(data)
    record = SignRecord(
        epoch=epoch,
        slot=slot,
        notarized=notarized if flags & _HAS_NOTARIZED else None,
        nullified=bool(flags & _HAS_NULLIFIED),
        finalized=finalized if flags & _HAS_FINALIZED else None,
    )
    stored = StoredRecord(counter, record)
    return stored if encode_slot(stored) == data else None
