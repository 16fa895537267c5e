"""One entry of the audit log and its bytes. Pure.

An entry holds the hash of the one before it, so whoever knows a later hash, such as one anchored in the
chain, knows every entry up to it. In a file: length u16 | canonical MessagePack | hash 32.
"""

import enum
import struct
from dataclasses import dataclass

import msgspec

from ledger.codec import canonical
from ledger.crypto.domains import NO_HASH, VoteKind
from ledger.crypto.hashing import sha256
from ledger.errors import CodecError
from ledger.params import HASH_BYTES
from ledger.types.primitives import Counter, Hash

ENTRY_BYTES_MAX = 256  # an entry is about 90 bytes
LENGTH_BYTES = 2

_PREFIX = b"ssp/audit/1\0"
_LENGTH = struct.Struct(">H")


class EntryKind(enum.IntEnum):
    """What happened. Numbers are in files and never change their meaning."""

    STARTED = 1  # the agent was opened; digest: of its public keys
    TORN = 2  # bytes after the last good entry were cut off; digest: of those bytes
    TRANSACTION = 3
    VOTE = 4
    READING_BATCH = 5
    QUOTE = 6
    VOUCHER = 7
    ONION_REVEAL = 8  # digest: of the value revealed
    ALARM = 9  # a vote by our own key that we never gave; digest: of its bytes
    POSSESSION = 10
    SESSION_TOKEN = 11
    MEASUREMENT = 12
    OCMF = 13  # digest: of the text
    WORDS_SHOWN = 20  # the wallet's recovery words; digest: of its public key
    WALLET_REPLACED = 21  # by one from recovery words; digest: of its public key


class Result(enum.IntEnum):
    """How it ended."""

    DONE = 1
    REFUSED = 2  # by the sign guard


class VotePlace(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Which vote it was: an older copy of the sign guard's record shows by it."""

    kind: VoteKind
    epoch: Counter
    slot: Counter


class Entry(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """One entry. `digest` is the SHA-256 of the bytes that were signed; `time_ms` is the machine's word."""

    sequence: Counter
    time_ms: Counter
    kind: EntryKind
    purpose: str
    digest: Hash
    result: Result
    previous: Hash
    vote: VotePlace | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """The newest entry's number and hash: it stands for the whole log. 0 and zeros: empty."""

    sequence: int
    hash: bytes


EMPTY = Head(0, NO_HASH)

_entries = canonical.Decoder(Entry)


def append_entry(head: Head, entry: Entry) -> tuple[Head, bytes]:
    """Return the head after `entry`, which must follow `head`, and the entry's bytes in a file."""
    assert entry.sequence == head.sequence + 1
    assert entry.previous == head.hash
    body = canonical.encode(entry)
    digest = hash_entry(body)
    return Head(entry.sequence, digest), _LENGTH.pack(len(body)) + body + digest


def hash_entry(body: bytes) -> bytes:
    """Return the 32-byte hash of an entry's canonical bytes."""
    return sha256(_PREFIX + body)


@dataclass(frozen=True, slots=True)
class Broken:
    """Where and why a log stops being whole. `offset` is where the bad bytes begin."""

    sequence: int
    offset: int
    reason: str


def read_entry(data: bytes, offset: int, head: Head) -> tuple[Entry, Head, int] | Broken:
    """Return the entry at `offset`, the head after it and where the next one begins; or why not."""
    expected = head.sequence + 1
    start = offset + LENGTH_BYTES
    if start > len(data):
        return Broken(expected, offset, "is cut off")
    (length,) = _LENGTH.unpack_from(data, offset)
    end = start + length + HASH_BYTES
    if length > ENTRY_BYTES_MAX:
        return Broken(expected, offset, "has an impossible length")
    if end > len(data):
        return Broken(expected, offset, "is cut off")
    body = data[start : start + length]
    if hash_entry(body) != data[start + length : end]:
        return Broken(expected, offset, "was changed: its hash does not fit")
    try:
        entry = _entries.decode(body)
    except CodecError as error:
        return Broken(expected, offset, f"is not an entry: {error}")
    if (entry.sequence, entry.previous) != (expected, head.hash):
        return Broken(expected, offset, f"does not follow the one before it ({entry.sequence})")
    return entry, Head(entry.sequence, data[start + length : end]), end
