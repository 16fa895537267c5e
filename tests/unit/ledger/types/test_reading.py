"""Readings: what is anchored has one form and limits."""

import msgspec
import pytest

from ledger.codec import canonical
from ledger.errors import CodecError
from ledger.params import READING_QUANTITIES_MAX
from ledger.types.reading import ClockStatus, Quantity, Reading, ReadingProof

READING = Reading(
    device_id=b"\x01" * 32,
    sequence=1,
    profile_hash=b"\x02" * 32,
    source_time_ms=None,
    gateway_time_ms=1_700_000_000_000,
    clock=ClockStatus.SYNCHRONISED,
    quantities=(Quantity("energy_total", -5, -3, "kWh"), Quantity("power", None, 0, "W")),
    salt=b"\x03" * 16,
)
READINGS = canonical.Decoder(Reading)


def test_a_reading_comes_back():
    assert READINGS.decode(canonical.encode(READING)) == READING


@pytest.mark.parametrize(
    "changes",
    [
        {"device_id": b""},
        {"sequence": -1},
        {"sequence": 2**63},
        {"salt": b"\x03" * 15},
        {"clock": 3},
        {"source_time_ms": -1},
        {"quantities": (Quantity("", 1, 0, ""),)},
        {"quantities": (Quantity("Energy", 1, 0, ""),)},
        {"quantities": (Quantity("e", 2**63, 0, ""),)},
        {"quantities": (Quantity("e", 1, 19, ""),)},
        {"quantities": (Quantity("e", 1, 0, "a" * 17),)},
        {"quantities": (Quantity("e", 1, 0, ""),) * (READING_QUANTITIES_MAX + 1)},
    ],
)
def test_a_field_outside_its_limits_does_not_decode(changes):
    with pytest.raises(CodecError):
        READINGS.decode(canonical.encode(msgspec.structs.replace(READING, **changes)))


def test_a_float_is_no_value():
    fields = msgspec.msgpack.decode(canonical.encode(READING))
    fields[6][0][1] = 0.5
    with pytest.raises(CodecError):
        READINGS.decode(canonical.encode(fields))


def test_a_proof_has_at_most_sixteen_hashes():
    proofs = canonical.Decoder(ReadingProof)
    good = ReadingProof(canonical.encode(READING), 1, 0, (bytes(32),) * 16)
    assert proofs.decode(canonical.encode(good)) == good
    for path in ((bytes(32),) * 17, (bytes(31),)):
        with pytest.raises(CodecError):
            proofs.decode(canonical.encode(msgspec.structs.replace(good, path=path)))
