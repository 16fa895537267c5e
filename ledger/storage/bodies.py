"""What a block holds beside its header: one value in its row, however many transactions there are.

A transaction is found by the first bytes of its id; several ids may begin alike, and the bodies tell which is meant.
"""

from collections.abc import Iterable, Sequence

import msgspec

from ledger.codec.canonical import Decoder, OwnDecoder, encode
from ledger.crypto.domains import transaction_id
from ledger.types.transaction import SignedTransaction

NO_BODY = b""  # of a block without transactions, or whose transactions are no longer kept

_SHORT_ID_BYTES = 8  # what SQLite compares as one integer


class BlockBody(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Transactions as received and their canonical outcomes, in order."""

    transactions: tuple[bytes, ...]
    outcomes: tuple[bytes, ...]


_bodies = OwnDecoder(BlockBody)
_envelopes = Decoder(SignedTransaction)


def encode_body(transactions: Sequence[tuple[bytes, bytes, bytes]]) -> bytes:
    """Return what is stored of (id, raw, outcome) of each transaction: the ids follow from the rest."""
    if not transactions:
        return NO_BODY
    _, raws, outcomes = zip(*transactions, strict=True)
    return encode(BlockBody(raws, outcomes))


def decode_body(stored: bytes) -> BlockBody:
    """Return a stored body; raise `CorruptStorageError` where it is none."""
    return _bodies.decode(stored) if stored else BlockBody((), ())


def compute_id(raw: bytes) -> bytes:
    """Return the 32-byte id of a transaction as received; raise `CodecError` where it is none."""
    return transaction_id(_envelopes.decode(raw).payload)


def shorten_id(id_: bytes) -> int:
    """Return the integer that a transaction's place is found by."""
    return int.from_bytes(id_[:_SHORT_ID_BYTES], "big", signed=True)


def list_places(ids: Iterable[bytes], height: int) -> list[tuple[int, int, int]]:
    """Return (short id, height, position) of a block's transactions, in the order of the table."""
    return sorted((shorten_id(id_), height, position) for position, id_ in enumerate(ids))
