"""Votes by subject and by voter: counted once, bounded, and contradictions found."""

import pytest

from ledger.consensus.vote_book import VOTES_PER_SLOT_MAX, VoteBook, are_contradictory
from ledger.crypto.domains import NO_HASH, VoteKind
from ledger.types.block import Vote

N, X, F = VoteKind.NOTARIZE, VoteKind.NULLIFY, VoteKind.FINALIZE
A, B = b"a" * 32, b"b" * 32


def vote(kind: VoteKind, block_hash: bytes = A, voter: int = 0, slot: int = 1) -> Vote:
    return Vote(kind, 0, slot, block_hash, voter, bytes([voter]) * 64)


def test_a_vote_counts_once_for_each_agent():
    book = VoteBook()
    assert book.add(vote(N)) is None
    assert book.knows(vote(N))
    assert not book.knows(vote(N, voter=1))
    book.add(vote(N, voter=1))
    assert book.count(1, N, A) == 2
    assert (book.count(1, F, A), book.count(2, N, A)) == (0, 0)
    assert book.certify(1, N, A).signatures == (bytes(64), bytes([1]) * 64)


@pytest.mark.parametrize(
    ("first", "second", "is_fault"),
    [
        (vote(N), vote(N, B), True),
        (vote(F), vote(F, B), True),
        (vote(X, NO_HASH), vote(F), True),
        (vote(F), vote(X, NO_HASH), True),
        (vote(N), vote(X, NO_HASH), False),
        (vote(N), vote(F), False),
        (vote(N), vote(N), False),
    ],
)
def test_which_votes_convict(first: Vote, second: Vote, is_fault: bool):
    assert are_contradictory(first, second) is is_fault
    book = VoteBook()
    book.add(first)
    if not book.knows(second):
        assert book.add(second) == (first if is_fault else None)


def test_an_agent_has_room_for_no_more_than_proves_its_fault():
    book = VoteBook()
    for number in range(VOTES_PER_SLOT_MAX):
        book.add(vote(N, bytes([number]) * 32))
    assert book.knows(vote(N, b"z" * 32))
    assert len(book) == VOTES_PER_SLOT_MAX


def test_a_certificate_is_covered_by_exactly_its_votes():
    book, other = VoteBook(), VoteBook()
    for voter in range(3):
        book.add(vote(N, voter=voter))
        other.add(vote(N, voter=voter))
    certificate = book.certify(1, N, A)
    assert other.covers(certificate)
    forged = Vote(N, 0, 1, A, 3, b"x" * 64)
    other.add(forged)
    assert not book.covers(other.certify(1, N, A))


def test_old_slots_are_forgotten():
    book = VoteBook()
    for slot in range(1, 6):
        book.add(vote(N, slot=slot))
    book.forget_below(4)
    assert [slot for slot in range(1, 6) if book.count(slot, N, A)] == [4, 5]
