import pytest

from ledger.crypto.domains import NO_HASH, VoteKind
from ledger.network import topics
from ledger.network.gatekeeper import (
    BYTES_BURST,
    MESSAGES_BURST,
    REQUESTS_BURST,
    Dropped,
    Gatekeeper,
)
from ledger.network.standing import Fault
from ledger.network.wire import PEER_MESSAGE_BYTES_MAX, Transactions, encode_message
from ledger.types.block import Vote
from ledger.types.messages import GetChain, Status, VoteMessage

PEER, OTHER = b"\x01" * 32, b"\x02" * 32


def _vote(
    kind: VoteKind = VoteKind.NOTARIZE, slot: int = 5, voter: int = 3, byte: int = 1
) -> bytes:
    vote = Vote(kind, 0, slot, bytes([byte]) * 32, voter, bytes(64))
    return encode_message(VoteMessage(vote))


def _status(height: int) -> bytes:
    return encode_message(Status(0, 1, height, NO_HASH, 0, True))


@pytest.fixture
def gate() -> Gatekeeper:
    return Gatekeeper()


def test_a_message_on_its_topic_is_admitted(gate):
    assert gate.admit(PEER, topics.STATUS, _status(7), 0) == Status(0, 1, 7, NO_HASH, 0, True)


def test_the_same_bytes_are_looked_at_once_within_the_window_whoever_sends_them(gate):
    assert isinstance(gate.admit(PEER, topics.VOTE, _vote(), 0), VoteMessage)
    assert gate.admit(OTHER, topics.VOTE, _vote(), 100) == Dropped("known")
    assert isinstance(gate.admit(OTHER, topics.VOTE, _vote(), 1_000), VoteMessage)


def test_a_request_is_answered_each_time(gate):
    raw = encode_message(GetChain(3))

    assert gate.admit(PEER, topics.DIRECT, raw, 0) == GetChain(3)
    assert gate.admit(OTHER, topics.DIRECT, raw, 0) == GetChain(3)


@pytest.mark.parametrize(
    ("kind", "raw", "detail"),
    [
        (topics.VOTE, b"", "not decodable"),
        (topics.VOTE, b"\xff", "not decodable"),
        (topics.VOTE, _vote() + b"\x00", "not decodable"),
        (topics.PROPOSAL, _vote(), "VoteMessage on topic p"),
        (topics.STATUS, encode_message(GetChain(1)), "GetChain on topic s"),
        (topics.TRANSACTIONS, bytes(PEER_MESSAGE_BYTES_MAX + 1), "at most"),
    ],
)
def test_what_is_not_a_message_of_its_topic_is_dropped_and_costs_standing(gate, kind, raw, detail):
    dropped = gate.admit(PEER, kind, raw, 0)

    assert isinstance(dropped, Dropped)
    assert detail in dropped.detail
    assert not dropped.is_banned


def test_a_peer_that_keeps_sending_rubbish_is_banned_and_heard_again_later(gate):
    answers = [gate.admit(PEER, topics.VOTE, bytes([number]), 0) for number in range(4)]

    assert [answer.is_banned for answer in answers] == [False, False, False, True]
    assert gate.is_banned(PEER, 9_999)
    assert gate.admit(PEER, topics.STATUS, _status(1), 9_999) == Dropped("banned", is_banned=True)
    assert isinstance(gate.admit(PEER, topics.STATUS, _status(1), 10_000), Status)


def test_one_voter_has_four_votes_a_slot_by_way_of_one_peer(gate):
    kinds = [gate.admit(PEER, topics.VOTE, _vote(byte=number), 0) for number in range(5)]

    assert [isinstance(answer, VoteMessage) for answer in kinds] == [True] * 4 + [False]
    assert isinstance(gate.admit(PEER, topics.VOTE, _vote(slot=6, byte=9), 0), VoteMessage)
    # A liar does not use up what another peer may pass on of the same voter.
    assert isinstance(gate.admit(OTHER, topics.VOTE, _vote(byte=9), 0), VoteMessage)


def test_saying_a_vote_again_after_the_window_is_no_further_vote(gate):
    for second in range(20):
        assert isinstance(gate.admit(PEER, topics.VOTE, _vote(), 1_000 * second), VoteMessage)


def test_requests_beyond_the_budget_are_dropped(gate):
    answers = [gate.admit(PEER, topics.DIRECT, encode_message(GetChain(h)), 0) for h in range(80)]

    assert sum(isinstance(answer, GetChain) for answer in answers) == REQUESTS_BURST


def test_a_flood_takes_nothing_from_another_peer(gate):
    for height in range(MESSAGES_BURST + 50):
        gate.admit(PEER, topics.STATUS, _status(height), 0)

    assert isinstance(gate.admit(PEER, topics.STATUS, _status(9_999), 0), Dropped)
    assert isinstance(gate.admit(OTHER, topics.STATUS, _status(9_999), 0), Status)


def test_bytes_are_counted_before_they_are_decoded(gate):
    raw = bytes(500_000)
    answers = [gate.admit(PEER, topics.TRANSACTIONS, raw + bytes(n), n) for n in range(3)]
    assert all("not decodable" in answer.detail for answer in answers)

    good = encode_message(Transactions((bytes(100_000),) * 5))
    others = [gate.admit(OTHER, topics.TRANSACTIONS, good, 1_000 * second) for second in range(20)]
    assert all(isinstance(answer, Transactions) for answer in others)  # half of its rate

    burst = [gate.admit(OTHER, topics.DIRECT, good, 20_000) for _ in range(20)]
    assert sum(isinstance(answer, Transactions) for answer in burst) == BYTES_BURST // len(good)


def test_a_fault_that_shows_later_counts_too(gate):
    assert [gate.blame(PEER, Fault.FORGED, 0) for _ in range(3)] == [False, False, True]
    assert gate.is_banned(PEER, 1)
