"""From an observation to the reading that is stored: sequence, times, salt, canonical bytes.

The salts of `SALTS_PER_BLOCK` consecutive sequences are the output of SHAKE-256 (FIPS 202) over the
device's secret and the block's number: an extendable-output function keyed by its prefix, of which
one part tells nothing about another. So a receipt reveals the salt of its own reading alone, the
store need not keep salts, and one call of the hash serves many readings.
"""

import hashlib
from collections.abc import Sequence

import msgspec

from gateway.errors import Rejected, RejectReason
from gateway.model.observation import Decoded, Measured, Observation, StoredReading
from ledger.codec import canonical
from ledger.crypto.hashing import sha256
from ledger.params import READING_BYTES_MAX, READING_QUANTITIES_MAX, READING_SALT_BYTES
from ledger.types.reading import ClockStatus, Reading

DEVICE_ID_PREFIX = b"ssp/device/1\0"
SALT_PREFIX = b"ssp/salts/1\0"
SALTS_PER_BLOCK = 64
SECRET_BYTES = 32

# Decoding what was just encoded checks every limit of the types, which building a struct does not.
_check = msgspec.msgpack.Decoder(Reading).decode
# A reading is an array, so a tuple of its fields has the same canonical bytes, and is made sooner.
_encode = msgspec.msgpack.Encoder().encode


def compute_device_id(node_id: bytes, secret: bytes) -> bytes:
    """Return a device's 32-byte public id; it tells nothing about the device or its name."""
    return sha256(DEVICE_ID_PREFIX + node_id + secret)


def compute_salts(secret: bytes, block: int) -> bytes:
    """Return the salts of the `SALTS_PER_BLOCK` sequences from `block * SALTS_PER_BLOCK` on."""
    seed = SALT_PREFIX + secret + block.to_bytes(8, "big")
    return hashlib.shake_256(seed).digest(SALTS_PER_BLOCK * READING_SALT_BYTES)


class DeviceSealer:
    """A device's running sequence and what else its readings carry."""

    __slots__ = (
        "_salts",
        "_salts_first",
        "_secret",
        "device_id",
        "key",
        "name",
        "next_sequence",
        "profile_hash",
    )

    def __init__(
        self, key: int, name: str, secret: bytes, device_id: bytes, profile_hash: bytes
    ) -> None:
        self.key = key
        self.name = name
        self.device_id = device_id
        self.profile_hash = profile_hash
        self.next_sequence = 1
        self._secret = secret
        self._salts = b""
        self._salts_first = -SALTS_PER_BLOCK  # the sequence that they start with

    def seal(
        self, observation: Observation, gateway_time_ms: int, clock: ClockStatus
    ) -> StoredReading | Rejected:
        """Return the reading and take the next sequence, or refuse and take none."""
        quantities = observation.quantities
        if not quantities:
            return Rejected(RejectReason.NO_QUANTITIES, f"{self.name}: the message has no value")
        if len(quantities) > READING_QUANTITIES_MAX:
            return self._too_large(f"{len(quantities)} values, at most {READING_QUANTITIES_MAX}")
        sequence = self.next_sequence
        reading = Reading(
            self.device_id,
            sequence,
            self.profile_hash,
            observation.source_time_ms,
            gateway_time_ms,
            clock,
            quantities,
            self._salt(sequence),
        )
        try:
            encoded = canonical.encode(reading)
            _check(encoded)
        except (msgspec.DecodeError, OverflowError, UnicodeError) as error:
            return Rejected(RejectReason.MALFORMED, f"{self.name}: {error}")
        if len(encoded) > READING_BYTES_MAX:
            return self._too_large(f"{len(encoded)} bytes, at most {READING_BYTES_MAX}")
        self.next_sequence = sequence + 1
        return StoredReading(self.name, reading, encoded)

    def seal_all(
        self, decoded: Sequence[Decoded], gateway_time_ms: int, clock: int
    ) -> list[bytes | Rejected | None]:
        """Return the canonical bytes of each reading, which takes the next sequence, or the refusal.

        The busy path: a `Measured` promises what `seal` checks, but for the size.
        """
        device_id, profile_hash, sequence = self.device_id, self.profile_hash, self.next_sequence
        sealed: list[bytes | Rejected | None] = []
        for one in decoded:
            if not isinstance(one, Measured):
                sealed.append(one)
                continue
            salt_start = (sequence - self._salts_first) * READING_SALT_BYTES
            if not 0 <= salt_start < len(self._salts):
                salt_start = self._load_salts(sequence)
            encoded = _encode(
                (
                    device_id,
                    sequence,
                    profile_hash,
                    one.source_time_ms,
                    gateway_time_ms,
                    clock,
                    one.quantities,
                    self._salts[salt_start : salt_start + READING_SALT_BYTES],
                )
            )
            if len(encoded) > READING_BYTES_MAX:
                size = f"{len(encoded)} bytes, at most {READING_BYTES_MAX}"
                sealed.append(self._too_large(size))
            else:
                sealed.append(encoded)
                sequence += 1
        self.next_sequence = sequence
        return sealed

    def _salt(self, sequence: int) -> bytes:
        start = self._load_salts(sequence)
        return self._salts[start : start + READING_SALT_BYTES]

    def _load_salts(self, sequence: int) -> int:
        """Return where the salt of a sequence stands in `_salts`."""
        block, place = divmod(sequence, SALTS_PER_BLOCK)
        if self._salts_first != block * SALTS_PER_BLOCK:
            self._salts = compute_salts(self._secret, block)
            self._salts_first = block * SALTS_PER_BLOCK
        return place * READING_SALT_BYTES

    def _too_large(self, what: str) -> Rejected:
        return Rejected(RejectReason.TOO_LARGE, f"{self.name}: the message makes {what}")
