"""The wallet's signed transactions on their way: kept before they are sent, sent until they are decided. Pure.

Rule 1: a transaction is in the queue, durably, before anybody else sees it.
Rule 2: its nonce is free again only when nobody else can have it: it was never handed out, or it is void.
Rule 3: void is what has expired, or whose nonce another transaction used. Nothing is given up otherwise. Where
the block in which its nonce was used is not kept, nobody here can tell whether it was this one: it is unseen.
Rule 4: a nonce may have several transactions, one replacing the other; whichever is final decides them all.
"""

import enum
from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gateway.errors import SettingsError
from gateway.model.ledger_api import AccountReply, StatusReply, TransactionReply
from ledger.params import EXPIRY_HEIGHTS_MAX

LIVE_MAX = 48  # a mempool takes no nonce that runs further ahead than 64
SETTLED_KEPT = 100  # the newest decided ones, for people to look at
VALID_MS_DEFAULT = 24 * 3_600_000
VALID_MS_MAX = 7 * 24 * 3_600_000

Hex = Annotated[str, Meta(pattern=r"^[0-9a-f]*\Z")]


class Standing(enum.Enum):
    """Where a transaction of the queue stands."""

    WAITING = "waiting"  # signed and kept
    SENT = "sent"  # the ledger took it
    REPLACED = "replaced"  # another one with its nonce was signed; still watched
    FINAL = "final"
    FAILED = "failed"  # final, and without effect but its fee
    VOID = "void"
    UNSEEN = "unseen"  # final or void
    DROPPED = "dropped"  # cancelled before anybody else saw it, or refused by the ledger


LIVE = frozenset({Standing.WAITING, Standing.SENT, Standing.REPLACED})


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One signed transaction. `has_left` tells whether it was ever handed to a ledger.

    It stands in no block up to `signed_height`.
    """

    id: Hex
    raw: Hex
    nonce: int
    fee: int
    expiry_height: int
    what: str
    created_ms: int
    standing: Standing = Standing.WAITING
    has_left: bool = False
    reason: str = ""
    height: int = 0
    signed_height: int = 0


class Seen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was last heard of the chain: enough to sign while the ledger is away."""

    chain_id: Hex
    nonce: int
    pending_nonce: int
    height: int
    slot_ms: int
    time_ms: int  # our own clock when it was heard
    pruned_height: int = 0


class Queue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    version: Literal[1] = 1
    seen: Seen | None = None
    entries: tuple[Entry, ...] = ()

    @property
    def live(self) -> tuple[Entry, ...]:
        """What is not decided yet, in the order of its nonces."""
        return tuple(
            sorted((e for e in self.entries if e.standing in LIVE), key=lambda e: (e.nonce, e.fee))
        )

    def find(self, text: str) -> Entry:
        """Return the entry whose id begins with `text`; raises `SettingsError`."""
        found = [entry for entry in self.entries if text and entry.id.startswith(text)]
        if len(found) != 1:
            many = "several transactions begin" if found else "no transaction begins"
            raise SettingsError(f"{many} with {text[:64]!r}: look at `smartshare wallet queue`")
        return found[0]


def see(queue: Queue, account: AccountReply, status: StatusReply, now_ms: int) -> Queue:
    """Take what the ledger says of the chain and the wallet's account."""
    seen = Seen(
        status.chain_id,
        account.nonce,
        account.pending_nonce,
        status.height,
        status.slot_ms,
        now_ms,
        status.pruned_height,
    )
    return msgspec.structs.replace(queue, seen=seen)


def next_nonce(queue: Queue) -> int:
    """Return the lowest nonce that no transaction has."""
    assert queue.seen is not None
    taken = {entry.nonce for entry in queue.live}
    nonce = queue.seen.pending_nonce
    while nonce in taken:
        nonce += 1
    return nonce


def compute_expiry(queue: Queue, now_ms: int, valid_ms: int) -> int:
    """Return the height after which a transaction that is signed now is void."""
    seen = queue.seen
    assert seen is not None
    gone_ms = max(0, now_ms - seen.time_ms)
    # While the ledger is away its height is a guess from above; a block beyond the limit would be refused.
    heights = min((gone_ms + valid_ms) // seen.slot_ms, EXPIRY_HEIGHTS_MAX // 2)
    return seen.height + max(1, heights)


def add(queue: Queue, entry: Entry) -> Queue:
    """Return the queue with a new entry; one with the same nonce is replaced by it."""
    if len(queue.live) >= LIVE_MAX:
        raise SettingsError(
            f"{LIVE_MAX} transactions wait: see to them first with `smartshare wallet queue`"
        )
    entries = tuple(
        msgspec.structs.replace(one, standing=Standing.REPLACED)
        if one.nonce == entry.nonce and one.standing in LIVE
        else one
        for one in queue.entries
    )
    return _trim(msgspec.structs.replace(queue, entries=(*entries, entry)))


def settle(entry: Entry, reply: TransactionReply, seen: Seen) -> Entry:
    """Return where a live entry stands after what the ledger says of it."""
    if reply.status == "final":
        return msgspec.structs.replace(
            entry,
            standing=Standing.FINAL if reply.applied else Standing.FAILED,
            has_left=True,
            reason=reply.reason,
            height=reply.height,
        )
    if reply.status == "pending":
        standing = entry.standing if entry.standing is Standing.REPLACED else Standing.SENT
        return msgspec.structs.replace(entry, standing=standing, has_left=True, reason="")
    reason = ""
    if seen.nonce > entry.nonce and _may_be_pruned(entry, seen):
        reason = (
            f"nonce {entry.nonce} is used, by this one or another, in a block that is not kept here"
        )
        return msgspec.structs.replace(entry, standing=Standing.UNSEEN, reason=reason)
    if seen.nonce > entry.nonce:
        reason = f"another transaction used nonce {entry.nonce}"
    elif seen.height > entry.expiry_height:
        reason = f"expired after block {entry.expiry_height}"
    if reason:
        return msgspec.structs.replace(entry, standing=Standing.VOID, reason=reason)
    return entry


def _may_be_pruned(entry: Entry, seen: Seen) -> bool:
    """Tell whether an entry may stand in a block that the ledger no longer keeps, or never had."""
    return entry.has_left and entry.signed_height < seen.pruned_height


def can_drop(queue: Queue, entry: Entry) -> bool:
    """Tell whether nobody else has an entry and nothing is built on its nonce."""
    others = (one for one in queue.live if one.id != entry.id)
    return not entry.has_left and all(one.nonce < entry.nonce for one in others)


def update(queue: Queue, *changed: Entry) -> Queue:
    """Return the queue with entries replaced by those of the same id; a decision stands."""
    by_id = {entry.id: entry for entry in changed}
    entries = tuple(
        by_id.get(one.id, one) if one.standing in LIVE else one for one in queue.entries
    )
    return _trim(msgspec.structs.replace(queue, entries=entries))


def to_send(queue: Queue) -> Iterator[Entry]:
    """Yield what a ledger that forgot it should be given, lowest nonce first."""
    return (entry for entry in queue.live if entry.standing is not Standing.REPLACED)


def _trim(queue: Queue) -> Queue:
    settled = [entry for entry in queue.entries if entry.standing not in LIVE]
    gone = {entry.id for entry in settled[:-SETTLED_KEPT]}
    entries = tuple(entry for entry in queue.entries if entry.id not in gone)
    return msgspec.structs.replace(queue, entries=entries)
