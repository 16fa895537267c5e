"""Canonical bytes: MessagePack array-structs, exactly one encoding per value.

Rule 1: what was signed or hashed is kept and forwarded verbatim, never re-serialised.
Rule 2: bytes that decode but differ from the canonical encoding of what they decode to are refused,
so a value cannot have two hashes.
"""

from typing import Generic, TypeVar

import msgspec

from ledger.errors import CodecError, CorruptStorageError

T = TypeVar("T")

_encoder = msgspec.msgpack.Encoder(order="sorted")


def encode(value: object) -> bytes:
    """Return the canonical bytes of a struct, or of plain lists, maps, integers, text and bytes."""
    return _encoder.encode(value)


class OwnDecoder(Generic[T]):
    """A reusable decoder for what this program encoded itself and nobody else could have touched.

    Records of the state are: the state root is over their bytes. It saves encoding them again.
    """

    def __init__(self, kind: type[T]) -> None:
        self._decode = msgspec.msgpack.Decoder(kind).decode

    def decode(self, data: bytes) -> T:
        """Return the value of `data`; raise `CorruptStorageError` where it is none."""
        try:
            return self._decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CorruptStorageError(f"a stored record is not decodable: {error}") from None


class Decoder(Generic[T]):
    """A reusable strict decoder for one type."""

    def __init__(self, kind: type[T]) -> None:
        self._decoder = msgspec.msgpack.Decoder(kind)

    def decode(self, data: bytes) -> T:
        """Return the value of canonical `data`; raise `CodecError` saying what is wrong."""
        try:
            value = self._decoder.decode(data)
            encoded = _encoder.encode(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError) as error:
            raise CodecError(f"not decodable: {error}") from None
        if encoded != data:
            raise CodecError("not the canonical encoding of its own content")
        return value
