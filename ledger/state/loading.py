"""Records of the state as values: decoded when read, canonical when written."""

from typing import TypeVar

import msgspec

from ledger.codec import canonical
from ledger.errors import CorruptStorageError
from ledger.state.overlay import Overlay, StateReader

T = TypeVar("T")


def load(state: StateReader, key: bytes, decoder: canonical.OwnDecoder[T]) -> T | None:
    """Return the record under `key`, or None where none is stored."""
    data = state.get(key)
    return None if data is None else decoder.decode(data)


def load_one(state: StateReader, key: bytes, decoder: canonical.OwnDecoder[T]) -> T:
    """Return a record that every chain has; raise `CorruptStorageError` where it is missing."""
    found = load(state, key, decoder)
    if found is None:
        raise CorruptStorageError(f"the state has no record {key.hex()}")
    return found


def save(state: Overlay, key: bytes, record: msgspec.Struct) -> None:
    """Store a record."""
    state.put(key, canonical.encode(record))
