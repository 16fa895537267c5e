"""A record that is behind the audit log is an old copy; one that is ahead of it is a crash between the two."""

import itertools

import pytest

from gateway.errors import AgentError
from gateway.smart_agent.audit.entry import Entry, EntryKind, Result, VotePlace
from gateway.smart_agent.judge import SignRecord, VoteRequest, judge
from gateway.smart_agent.stale_record import check_record
from ledger.crypto.domains import NO_HASH, VoteKind, vote_message
from ledger.crypto.hashing import sha256

CHAIN, A, B = b"i" * 32, b"a" * 32, b"b" * 32
VOTES = [
    VoteRequest(VoteKind.NOTARIZE, 1, 5, A),
    VoteRequest(VoteKind.FINALIZE, 1, 5, A),
    VoteRequest(VoteKind.NULLIFY, 1, 6, NO_HASH),
    VoteRequest(VoteKind.NOTARIZE, 1, 6, B),
    VoteRequest(VoteKind.NOTARIZE, 2, 1, A),
]


def logged(vote):
    message = vote_message(CHAIN, vote.kind, vote.epoch, vote.slot, vote.block_hash)
    place = VotePlace(vote.kind, vote.epoch, vote.slot)
    return Entry(1, 0, EntryKind.VOTE, "", sha256(message), Result.DONE, bytes(32), place)


def records():
    """The record before the first vote and after each."""
    record = SignRecord(0, 0)
    history = [record]
    for vote in VOTES:
        after = judge(record, vote)
        assert isinstance(after, SignRecord)
        record = after
        history.append(record)
    return history


def newest(votes):
    place = max((vote.epoch, vote.slot) for vote in votes)
    return [logged(vote) for vote in votes if (vote.epoch, vote.slot) == place]


@pytest.mark.parametrize(
    ("written", "given"), list(itertools.product(range(len(VOTES) + 1), range(1, len(VOTES) + 1)))
)
def test_a_record_of_any_moment_beside_a_log_of_any_moment(written, given):
    """The log has the first `given` votes; the record is of the moment after `written` of them."""
    record, entries = records()[written], newest(VOTES[:given])

    if written >= given:
        check_record(record, entries, CHAIN)
    else:
        with pytest.raises(AgentError, match="is an old copy"):
            check_record(record, entries, CHAIN)


def test_another_vote_in_the_same_slot_is_missing_too():
    with pytest.raises(AgentError, match="NOTARIZE vote in epoch 1 slot 5 that it lacks"):
        check_record(SignRecord(1, 5, notarized=B), [logged(VOTES[0])], CHAIN)


def test_without_logged_votes_nothing_is_known():
    check_record(SignRecord(0, 0), [], CHAIN)
    check_record(SignRecord(0, 0), [], None)


def test_the_line_says_how_to_continue():
    with pytest.raises(AgentError, match="guard quarantine") as caught:
        check_record(SignRecord(0, 0), [logged(VOTES[0])], CHAIN)
    assert "\n" not in str(caught.value)
