"""A snapshot: the whole state behind an epoch's end block, and the end blocks that lead to it.

Rule 1: nothing in it is believed. The trail is certified from the genesis on, it leads by way of what the
reader trusts (`StartingPoint`), and the rows have the root that its newest header commits to.
Rule 2: old agents may sell their keys, so the genesis alone does not tell the true chain from a forged
one: a checkpoint comes from somebody who is trusted, by a way of its own; or the reader has a chain.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Literal, Protocol, Self

import msgspec
from msgspec import Meta

from ledger.codec.canonical import Decoder, encode
from ledger.crypto.domains import header_hash
from ledger.errors import CodecError, Reason, Rejected
from ledger.light.evidence import SET_CHANGES_MAX, SetChange
from ledger.light.finality import NotFinalError, TrustedAgents
from ledger.params import HASH_BYTES
from ledger.state.commitment import StateTree
from ledger.types.agent_set import AgentSet
from ledger.types.block import Header
from ledger.types.genesis import Genesis
from ledger.types.genesis_file import genesis_chain_id
from ledger.types.primitives import Hash

# About 1.4 million accounts. Checking takes eight times as much memory: half of a gateway with 1 GB.
SNAPSHOT_BYTES_MAX = 64 * 1024 * 1024
_EPOCH_DIGITS_MAX = 15

_headers = Decoder(Header)
_sets = Decoder(AgentSet)


@dataclass(frozen=True, slots=True)
class TrailEnd:
    """An end block of a trail, and the set that it names."""

    header: Header
    hash: bytes
    next_set: AgentSet


class StartingPoint(Protocol):
    """What the reader of a snapshot trusts already, by a way of its own."""

    def check(self, ends: Sequence[TrailEnd]) -> Rejected | None:
        """Return None when this trail, of which each block is certified, leads by way of it."""
        ...


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """An epoch and the hash of its end block's header, as text `EPOCH:HASH`."""

    epoch: int
    hash: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the checkpoint of its text; raises `CodecError`."""
        epoch, _, digits = text.partition(":")
        is_number = epoch.isascii() and epoch.isdigit() and len(epoch) <= _EPOCH_DIGITS_MAX
        try:
            block_hash = bytes.fromhex(digits)
        except ValueError:
            block_hash = b""
        if not is_number or len(block_hash) != HASH_BYTES:
            raise CodecError(
                f"{text[:80]!a} is no checkpoint: write EPOCH:HASH as `smartshare chain checkpoint` prints it"
            )
        return cls(int(epoch), block_hash)

    def __str__(self) -> str:
        return f"{self.epoch}:{self.hash.hex()}"

    def check(self, ends: Sequence[TrailEnd]) -> Rejected | None:
        """Return None when the checkpoint is one of the trail's blocks."""
        if any((end.header.epoch, end.hash) == (self.epoch, self.hash) for end in ends):
            return None
        newest = Checkpoint(ends[-1].header.epoch, ends[-1].hash)
        detail = f"the snapshot of {newest} does not stand on the checkpoint {self}"
        return Rejected(Reason.BAD_BLOCK, detail)


class Snapshot(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What a chain database can be made of: the newest end block of the trail, and the state behind it.

    The trail holds every end block that hands over to other agents, and the newest ones. State rows are
    (key, value), by key.
    """

    format: Literal["smartshare-snapshot/1"]
    chain_id: Hash
    trail: Annotated[tuple[SetChange, ...], Meta(min_length=1, max_length=SET_CHANGES_MAX)]
    state: tuple[tuple[bytes, bytes], ...]


_snapshots = Decoder(Snapshot)


def make_snapshot(
    genesis: Genesis, trail: tuple[SetChange, ...], state: tuple[tuple[bytes, bytes], ...]
) -> Snapshot:
    """Return the snapshot behind the newest block of a trail."""
    return Snapshot("smartshare-snapshot/1", genesis_chain_id(genesis), trail, state)


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """Return a snapshot's one canonical form."""
    return encode(snapshot)


def verify_snapshot(
    data: bytes, genesis: Genesis, start: StartingPoint, *more: StartingPoint
) -> Snapshot | Rejected:
    """Return the snapshot that the bytes are, proven from every starting point; or what is wrong with it."""
    if len(data) > SNAPSHOT_BYTES_MAX:
        return Rejected(Reason.TOO_LARGE, f"a snapshot of more than {SNAPSHOT_BYTES_MAX} bytes")
    try:
        snapshot = _snapshots.decode(data)
        ends = [_open_end(change) for change in snapshot.trail]
    except CodecError as error:
        return Rejected(Reason.MALFORMED, f"not a snapshot: {error}")
    if snapshot.chain_id != genesis_chain_id(genesis):
        return Rejected(
            Reason.WRONG_CHAIN, f"the snapshot is of chain {snapshot.chain_id.hex()[:16]}"
        )
    refusal = _check_trail(snapshot, ends, genesis)
    for one in (start, *more):
        refusal = refusal or one.check(ends)
    return refusal or _check_state(snapshot, ends[-1].header) or snapshot


def _open_end(change: SetChange) -> TrailEnd:
    header = _headers.decode(change.header)
    return TrailEnd(header, header_hash(change.header), _sets.decode(change.next_set))


def _check_trail(snapshot: Snapshot, ends: Sequence[TrailEnd], genesis: Genesis) -> Rejected | None:
    try:
        TrustedAgents(genesis).follow(snapshot.trail)
    except NotFinalError as error:
        return Rejected(Reason.BAD_BLOCK, f"an end block of the snapshot is not final: {error}")
    is_rising = all(below.header.height < above.header.height for below, above in pairwise(ends))
    if not is_rising or any(end.header.seal for end in ends):
        return Rejected(Reason.BAD_BLOCK, "the snapshot's trail is not one of end blocks in order")
    return None


def _check_state(snapshot: Snapshot, header: Header) -> Rejected | None:
    keys = [key for key, _ in snapshot.state]
    if any(first >= second for first, second in pairwise(keys)):
        return Rejected(Reason.MALFORMED, "the snapshot's state is not in the order of its keys")
    if StateTree.from_items(snapshot.state).root != header.state_root:
        detail = f"the snapshot's state is not the one that block {header.height} commits to"
        return Rejected(Reason.BAD_BLOCK, detail)
    return None
