"""From an observation to the reading that is stored: sequence, times, salt, canonical bytes.

The salt is HMAC-SHA256(secret, sequence) (RFC 2104), so a receipt reveals the salt of its own
reading alone, and the store need not keep salts.
"""

import hmac

import msgspec

from gateway.errors import Rejected, RejectReason
from gateway.model.observation import Observation, StoredReading
from ledger.codec import canonical
from ledger.crypto.hashing import sha256
from ledger.params import READING_BYTES_MAX, READING_QUANTITIES_MAX, READING_SALT_BYTES
from ledger.types.reading import ClockStatus, Reading

DEVICE_ID_PREFIX = b"ssp/device/1\0"
SECRET_BYTES = 32

# Decoding what was just encoded checks every limit of the types, which building a struct does not.
_check = msgspec.msgpack.Decoder(Reading).decode


def compute_device_id(node_id: bytes, secret: bytes) -> bytes:
    """Return a device's 32-byte public id; it tells nothing about the device or its name."""
    return sha256(DEVICE_ID_PREFIX + node_id + secret)


class DeviceSealer:
    """A device's running sequence and what else its readings carry."""

    __slots__ = ("_keyed_hash", "device_id", "key", "name", "next_sequence", "profile_hash")

    def __init__(
        self, key: int, name: str, secret: bytes, device_id: bytes, profile_hash: bytes
    ) -> None:
        self.key = key
        self.name = name
        self.device_id = device_id
        self.profile_hash = profile_hash
        self.next_sequence = 1
        self._keyed_hash = hmac.new(secret, digestmod="sha256")

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

    def _salt(self, sequence: int) -> bytes:
        keyed_hash = self._keyed_hash.copy()
        keyed_hash.update(sequence.to_bytes(8, "big"))
        return keyed_hash.digest()[:READING_SALT_BYTES]

    def _too_large(self, what: str) -> Rejected:
        return Rejected(RejectReason.TOO_LARGE, f"{self.name}: the message makes {what}")
