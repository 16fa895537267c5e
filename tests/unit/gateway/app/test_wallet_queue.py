"""The queue of signed transactions: nonces, expiry, and what decides a transaction."""

import msgspec
import pytest

from gateway.app.wallet_queue import (
    LIVE_MAX,
    SETTLED_KEPT,
    Entry,
    Queue,
    Seen,
    Standing,
    add,
    can_drop,
    compute_expiry,
    next_nonce,
    settle,
    to_send,
    update,
)
from gateway.errors import SettingsError
from gateway.model.ledger_api import TransactionReply
from ledger.params import EXPIRY_HEIGHTS_MAX

SEEN = Seen("11" * 32, nonce=5, pending_nonce=5, height=100, slot_ms=3000, time_ms=0)
UNKNOWN, PENDING = TransactionReply("unknown"), TransactionReply("pending")


def entry(nonce: int, name: int | None = None, **changes: object) -> Entry:
    usual = Entry(f"{name if name is not None else nonce:064x}", "", nonce, 1000, 200, "pay", 0)
    return msgspec.structs.replace(usual, **changes)


def queue(*entries: Entry) -> Queue:
    made = Queue(seen=SEEN)
    for one in entries:
        made = add(made, one)
    return made


def test_nonces_follow_what_waits_and_fill_what_became_free():
    assert next_nonce(queue()) == 5
    assert next_nonce(queue(entry(5), entry(6))) == 7
    dropped = update(queue(entry(5), entry(6)), entry(5, standing=Standing.DROPPED))
    assert next_nonce(dropped) == 5
    ahead = msgspec.structs.replace(
        queue(entry(7)), seen=msgspec.structs.replace(SEEN, pending_nonce=7)
    )
    assert next_nonce(ahead) == 8, "something that is not ours waits at 5 and 6"


def test_an_expiry_counts_from_what_was_last_heard_and_stays_within_the_rules():
    assert compute_expiry(queue(), 0, 3_600_000) == 100 + 1200
    assert compute_expiry(queue(), 3_600_000, 3_600_000) == 100 + 2400
    assert compute_expiry(queue(), 0, 1) == 101
    assert compute_expiry(queue(), 10**12, 1) == 100 + EXPIRY_HEIGHTS_MAX // 2
    assert compute_expiry(queue(), -(10**12), 3_600_000) == 1300, "our clock was set back"


@pytest.mark.parametrize(
    ("reply", "seen", "standing", "words"),
    [
        (TransactionReply("final", height=9, applied=True), {}, Standing.FINAL, ""),
        (TransactionReply("final", reason="no funds"), {}, Standing.FAILED, "no funds"),
        (PENDING, {}, Standing.SENT, ""),
        (UNKNOWN, {}, Standing.WAITING, ""),
        (UNKNOWN, {"height": 200}, Standing.WAITING, ""),
        (UNKNOWN, {"height": 201}, Standing.VOID, "expired after block 200"),
        (UNKNOWN, {"nonce": 6}, Standing.VOID, "another transaction used nonce 5"),
        (PENDING, {"nonce": 6}, Standing.SENT, ""),
    ],
)
def test_what_decides_a_transaction(reply, seen, standing, words):
    settled = settle(entry(5), reply, msgspec.structs.replace(SEEN, **seen))
    assert (settled.standing, settled.reason) == (standing, words)


def test_the_replaced_one_is_watched_and_not_sent():
    both = queue(entry(5, 1), entry(5, 2, fee=1200))
    assert [one.standing for one in both.live] == [Standing.REPLACED, Standing.WAITING]
    assert [one.id for one in to_send(both)] == [entry(5, 2).id]
    assert settle(both.live[0], PENDING, SEEN).standing is Standing.REPLACED
    final = settle(both.live[0], TransactionReply("final", applied=True), SEEN)
    assert final.standing is Standing.FINAL
    used = msgspec.structs.replace(SEEN, nonce=6)
    assert settle(both.live[1], UNKNOWN, used).standing is Standing.VOID


def test_only_what_nobody_has_and_nothing_builds_on_is_dropped():
    both = queue(entry(5), entry(6))
    assert can_drop(both, both.live[1])
    assert not can_drop(both, both.live[0]), "nonce 6 could never run"
    left = update(both, entry(6, has_left=True))
    assert not can_drop(left, left.live[1])


def test_a_decision_stands():
    decided = update(queue(entry(5)), entry(5, standing=Standing.FINAL))
    late = update(decided, entry(5, standing=Standing.WAITING))
    assert late.entries[0].standing is Standing.FINAL


def test_the_queue_is_bounded():
    full = queue(*(entry(5 + n) for n in range(LIVE_MAX)))
    with pytest.raises(SettingsError, match="transactions wait"):
        add(full, entry(5 + LIVE_MAX))
    decided = full
    for round_ in range(4):
        names = range(round_ * 1000, round_ * 1000 + LIVE_MAX)
        for name in names:
            decided = update(
                decided,
                *(msgspec.structs.replace(one, standing=Standing.FINAL) for one in decided.live),
            )
            decided = add(decided, entry(5, 10**6 + name))
    assert len(decided.entries) <= SETTLED_KEPT + LIVE_MAX


def test_an_entry_is_found_by_the_beginning_of_its_id():
    both = queue(entry(5, 0xA << 252), entry(6, 0xB << 252))
    assert both.find("a").nonce == 5
    for text in ("", "c"):
        with pytest.raises(SettingsError, match="no transaction"):
            both.find(text)
    with pytest.raises(SettingsError, match="several"):
        queue(entry(5, 1), entry(6, 2)).find("00")


def test_a_used_nonce_says_nothing_where_its_block_is_not_kept():
    used = msgspec.structs.replace(SEEN, nonce=6, pruned_height=90)
    sent = entry(5, has_left=True)
    found = settle(sent, UNKNOWN, used)
    assert found.standing is Standing.UNSEEN
    assert "by this one or another" in found.reason
    # It was signed above what is not kept, it never left this machine, or all is kept.
    late = entry(5, has_left=True, signed_height=90)
    assert settle(late, UNKNOWN, used).standing is Standing.VOID
    assert settle(entry(5), UNKNOWN, used).standing is Standing.VOID
    whole = msgspec.structs.replace(used, pruned_height=0)
    assert settle(sent, UNKNOWN, whole).standing is Standing.VOID
    final = TransactionReply("final", applied=True)
    assert settle(sent, final, used).standing is Standing.FINAL
