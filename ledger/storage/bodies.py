"""What a block holds beside its header: one value in its row, however many transactions there are.

A transaction is found by the first bytes of its id; several ids may begin alike, and the bodies tell which is meant.
"""

import struct
from collections.abc import Sequence
from itertools import repeat

import msgspec

from ledger.codec.canonical import Decoder, OwnDecoder, encode
from ledger.crypto.domains import transaction_id
from ledger.types.transaction import SignedTransaction

NO_BODY = b""  # of a block without transactions, or whose transactions are no longer kept

_SHORT_ID_FORMAT = "q24x"  # of the 32 bytes of an id: what SQLite compares as one integer


class BlockBody(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Transactions as received and their canonical outcomes, in order."""

    transactions: tuple[bytes, ...]
    outcomes: tuple[bytes, ...]


_bodies = OwnDecoder(BlockBody)
_envelopes = Decoder(SignedTransaction)


def encode_body(body: BlockBody) -> bytes:
    """Return what is stored of a block's body."""
    return encode(body) if body.transactions else NO_BODY


def decode_body(stored: bytes) -> BlockBody:
    """Return a stored body; raise `CorruptStorageError` where it is none."""
    return _bodies.decode(stored) if stored else BlockBody((), ())


def compute_id(raw: bytes) -> bytes:
    """Return the 32-byte id of a transaction as received; raise `CodecError` where it is none."""
    return transaction_id(_envelopes.decode(raw).payload)


def shorten_id(id_: bytes) -> int:
    """Return the integer that a transaction's place is found by."""
    return _shorten_all((id_,))[0]


def list_places(ids: Sequence[bytes], height: int) -> list[tuple[int, int, int]]:
    """Return (short id, height, position) of a block's transactions, in the order of the table."""
    return sorted(zip(_shorten_all(ids), repeat(height), range(len(ids)), strict=False))


def _shorten_all(ids: Sequence[bytes]) -> tuple[int, ...]:
    return struct.unpack(">" + _SHORT_ID_FORMAT * len(ids), b"".join(ids))
