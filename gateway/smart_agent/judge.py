"""The rule that makes equivocation impossible (consensus specification 1.4, `signer_sign`).

Pure: (record, vote) -> record or refusal. The record is all a voter must never lose; a vote may be
signed only when the record that already contains it is durable.
"""

import enum
from dataclasses import dataclass, replace
from typing import assert_never

from ledger.crypto.domains import NO_HASH, VoteKind
from ledger.params import HASH_BYTES

EPOCH_MAX = 2**32 - 1  # u32 in a vote's signed bytes
SLOT_MAX = 2**63 - 1  # u64 in a vote's signed bytes; a counter of the codec is one bit shorter


@dataclass(frozen=True, slots=True)
class SignRecord:
    """What this key signed in its newest slot: hash notarised, nullified or not, hash finalised."""

    epoch: int
    slot: int
    notarized: bytes | None = None
    nullified: bool = False
    finalized: bytes | None = None


FIRST_RECORD = SignRecord(epoch=0, slot=0)


@dataclass(frozen=True, slots=True)
class VoteRequest:
    """A vote that somebody wants signed. `block_hash` is zeros in a vote to nullify."""

    kind: VoteKind
    epoch: int
    slot: int
    block_hash: bytes


class GuardRefusal(enum.Enum):
    """Why a vote is not signed. The value is the stable text that is logged."""

    MALFORMED = "epoch, slot or hash is out of range for this kind of vote"
    PAST_SLOT = "the slot is before the newest slot this key voted in"
    OTHER_NOTARIZED = "this key notarised another block in this slot"
    FINALIZED = "this key finalised a block in this slot and must not nullify it"
    NULLIFIED = "this key nullified this slot and must not finalise a block in it"
    OTHER_FINALIZED = "this key finalised another block in this slot"


def judge(record: SignRecord, vote: VoteRequest) -> SignRecord | GuardRefusal:
    """Return the record to make durable before signing `vote` (unchanged for a repeat), or why not."""
    if not is_well_formed(vote):
        return GuardRefusal.MALFORMED
    if (vote.epoch, vote.slot) < (record.epoch, record.slot):
        return GuardRefusal.PAST_SLOT
    if (vote.epoch, vote.slot) > (record.epoch, record.slot):
        record = SignRecord(vote.epoch, vote.slot)
    match vote.kind:
        case VoteKind.NOTARIZE:
            return _notarize(record, vote.block_hash)
        case VoteKind.NULLIFY:
            return _nullify(record)
        case VoteKind.FINALIZE:
            return _finalize(record, vote.block_hash)
    assert_never(vote.kind)


def is_well_formed(vote: VoteRequest) -> bool:
    """Tell whether the numbers fit and only a vote to nullify carries no hash."""
    in_range = 0 <= vote.epoch <= EPOCH_MAX and 0 <= vote.slot <= SLOT_MAX
    if vote.kind is VoteKind.NULLIFY:
        return in_range and vote.block_hash == NO_HASH
    return in_range and len(vote.block_hash) == HASH_BYTES and vote.block_hash != NO_HASH


def _notarize(record: SignRecord, block_hash: bytes) -> SignRecord | GuardRefusal:
    if record.notarized not in (None, block_hash):
        return GuardRefusal.OTHER_NOTARIZED
    return replace(record, notarized=block_hash)


def _nullify(record: SignRecord) -> SignRecord | GuardRefusal:
    if record.finalized is not None:
        return GuardRefusal.FINALIZED
    return replace(record, nullified=True)


def _finalize(record: SignRecord, block_hash: bytes) -> SignRecord | GuardRefusal:
    if record.nullified:
        return GuardRefusal.NULLIFIED
    if record.finalized not in (None, block_hash):
        return GuardRefusal.OTHER_FINALIZED
    return replace(record, finalized=block_hash)


def votes_of(record: SignRecord) -> list[VoteRequest]:
    """Return the votes that a record stands for."""
    votes = []
    if record.notarized is not None:
        votes.append(VoteRequest(VoteKind.NOTARIZE, record.epoch, record.slot, record.notarized))
    if record.nullified:
        votes.append(VoteRequest(VoteKind.NULLIFY, record.epoch, record.slot, NO_HASH))
    if record.finalized is not None:
        votes.append(VoteRequest(VoteKind.FINALIZE, record.epoch, record.slot, record.finalized))
    return votes
