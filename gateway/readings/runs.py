"""Runs: consecutive readings of one device, as they travel from a commit to a page of the database."""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from gateway.readings.faults import DamagedRowError
from ledger.types.reading import Reading

PAGE_READINGS_MAX = 128  # some 25 KiB: one is unpacked whole, also to read a single reading of it

_encode = msgspec.msgpack.Encoder().encode
_decode_readings = msgspec.msgpack.Decoder(list[bytes]).decode
_decode_reading = msgspec.msgpack.Decoder(Reading).decode


class Run(msgspec.Struct, array_like=True):
    """Readings of a device, by its key, as canonical bytes from sequence `first` on; at least one."""

    device: int
    first: int
    readings: list[bytes]

    @property
    def last(self) -> int:
        """The sequence of the newest reading."""
        return self.first + len(self.readings) - 1

    def cut(self, first: int, last: int) -> Iterator[tuple[int, bytes]]:
        """Give the readings between two sequences, both included, with their sequences."""
        start = max(0, first - self.first)
        return enumerate(self.readings[start : max(0, last - self.first + 1)], self.first + start)


_decode_runs = msgspec.msgpack.Decoder(list[Run]).decode


def encode_runs(runs: Sequence[Run]) -> bytes:
    """Return runs of several devices as one row of the log keeps them."""
    return _encode(runs)


def decode_runs(raw: bytes) -> list[Run]:
    """Return the runs in a row of the log; raises `DamagedRowError`."""
    try:
        return _decode_runs(raw)
    except msgspec.DecodeError as error:
        raise DamagedRowError(f"a row of the log: {error}") from None


def encode_page(readings: Sequence[bytes]) -> bytes:
    """Return consecutive readings as a page keeps them."""
    return _encode(readings)


def decode_page(device: int, first: int, raw: bytes) -> Run:
    """Return the readings of a page that starts with sequence `first`; raises `DamagedRowError`."""
    try:
        return Run(device, first, _decode_readings(raw))
    except msgspec.DecodeError as error:
        raise DamagedRowError(f"the readings from {first} of device {device}: {error}") from None


def merge_runs(runs: Iterable[Run]) -> dict[int, Run]:
    """Join the runs of each device, which must follow one another, into one; by device key."""
    merged: dict[int, Run] = {}
    for run in runs:
        before = merged.get(run.device)
        if before is None:
            merged[run.device] = Run(run.device, run.first, list(run.readings))
        else:
            before.readings.extend(run.readings)
    return merged


def decode_reading(encoded: bytes) -> Reading:
    """Return a reading that this program encoded; raises `DamagedRowError`."""
    try:
        return _decode_reading(encoded)
    except msgspec.DecodeError as error:
        raise DamagedRowError(f"a reading: {error}") from None
