"""State, transactions and blocks as peers prove them to a light node; nothing false gets through."""

from collections.abc import Callable

import msgspec
import pytest

from ledger.codec.canonical import encode
from ledger.errors import Rejected
from ledger.light.answers import BlockAnswer, InclusionAnswer, StateAnswer
from ledger.light.follower import STALE_BLOCKS, HeaderFollower, VerifiedHeader
from ledger.light.proofs import (
    ProvenBlock,
    ProvenInclusions,
    ProvenState,
    check_block,
    check_inclusion,
    check_state,
)
from ledger.types.outcome import OutcomeStatus
from tests.support.light_lab import START_MS, HeaderChain, agents_of, id_of

CHAIN = HeaderChain([agents_of("a", "b", "c", "d"), agents_of("v", "w", "x", "y")])
KEYS = (b"akey", b"anothing")


@pytest.fixture
def follower() -> HeaderFollower:
    follower = HeaderFollower(CHAIN.genesis)
    follower.take_headers(CHAIN.headers([0], 15), START_MS)
    assert follower.is_ready
    return follower


def flips(content: bytes, step: int):
    for place in range(0, len(content), step):
        yield content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def test_values_and_absences_are_proven_behind_one_block_which_becomes_the_newest(follower):
    proven = check_state(follower, KEYS, CHAIN.state(17, *KEYS))
    assert isinstance(proven, ProvenState)
    assert proven.values == {b"akey": b"value", b"anothing": None}
    assert proven.at.header.height == 17
    assert follower.newest == proven.at


def test_any_changed_byte_of_a_state_answer_is_found_out(follower):
    for changed in flips(CHAIN.state(15, *KEYS), 13):
        assert isinstance(check_state(follower, KEYS, changed), Rejected)


def test_values_of_other_keys_are_refused(follower):
    for keys in ((b"akey",), (b"anothing", b"akey"), (b"aother", b"anothing"), (*KEYS, b"x")):
        assert isinstance(check_state(follower, keys, CHAIN.state(15, *KEYS)), Rejected)


def test_a_value_that_is_said_to_be_absent_is_refused(follower):
    answer = msgspec.msgpack.decode(CHAIN.state(15, *KEYS), type=StateAnswer)
    hidden = msgspec.structs.replace(answer.values[0], value=None)
    forged = encode(msgspec.structs.replace(answer, values=(hidden, answer.values[1])))
    assert isinstance(check_state(follower, KEYS, forged), Rejected)


def test_an_old_state_presented_as_new_is_refused():
    chain = HeaderChain([agents_of("a", "b", "c", "d")])
    follower = HeaderFollower(chain.genesis)
    follower.take_headers(chain.headers([], 10), START_MS)
    assert isinstance(check_state(follower, KEYS, chain.state(9, *KEYS)), ProvenState)
    newest = follower.verify(chain.final(5, height=10 + STALE_BLOCKS))
    assert isinstance(newest, VerifiedHeader)
    follower.take(newest)
    refusal = check_state(follower, KEYS, chain.state(9, *KEYS))
    assert isinstance(refusal, Rejected)
    assert "not new" in refusal.detail


def test_final_transactions_are_proven_with_what_they_did(follower):
    wanted = [id_of(raw) for raw in CHAIN.raws(12)] + [bytes(32)]
    proven = check_inclusion(follower, wanted, CHAIN.inclusion(12, 0, 2))
    assert isinstance(proven, ProvenInclusions)
    assert [one.id for one in proven.found] == [wanted[0], wanted[2]]
    assert all(one.outcome.status is OutcomeStatus.APPLIED for one in proven.found)
    assert proven.found[0].at.header.height == 12


def test_a_transaction_of_an_epoch_that_is_over_is_judged_by_its_own_agents(follower):
    proven = check_inclusion(follower, [id_of(CHAIN.raws(4)[1])], CHAIN.inclusion(4, 1))
    assert isinstance(proven, ProvenInclusions)
    assert len(proven.found) == 1


def test_any_changed_byte_of_evidence_is_found_out(follower):
    wanted = [id_of(raw) for raw in CHAIN.raws(12)]
    content = CHAIN.inclusion(12, 1)
    unproven = len(encode(InclusionAnswer(12, ()))) - 1  # the claim how far the answerer is
    for changed in flips(content[unproven:], 5):
        judged = check_inclusion(follower, wanted, content[:unproven] + changed)
        assert isinstance(judged, Rejected), judged


def evidence_with(**changes: object) -> bytes:
    evidence = msgspec.structs.replace(CHAIN.evidence(12, 1), **changes)
    return encode(InclusionAnswer(12, (evidence,)))


@pytest.mark.parametrize(
    "content",
    [
        evidence_with(transaction=CHAIN.raws(12)[0]),
        evidence_with(outcome=CHAIN.outcomes(12)[0]),
        evidence_with(outcome=CHAIN.outcomes(12)[2]),
        evidence_with(position=0),
        evidence_with(count=1),
        evidence_with(transaction_path=()),
        evidence_with(outcome_path=CHAIN.evidence(12, 0).outcome_path),
        evidence_with(header=CHAIN.evidence(13, 1).header),
        evidence_with(certificate=CHAIN.evidence(13, 1).certificate),
        evidence_with(set_changes=(CHAIN.end(0),)),
        CHAIN.inclusion(12, 1, 1),
        CHAIN.inclusion(13, 1),
    ],
)
def test_evidence_with_one_thing_changed_is_refused(follower, content):
    wanted = [id_of(raw) for raw in CHAIN.raws(12)]
    assert isinstance(check_inclusion(follower, wanted, content), Rejected)


def test_a_block_is_proven_with_all_of_its_transactions(follower):
    block = check_block(follower, 14, CHAIN.block(14))
    assert isinstance(block, ProvenBlock)
    assert block.transaction_ids == tuple(id_of(raw) for raw in CHAIN.raws(14))
    assert isinstance(check_block(follower, 13, CHAIN.block(14)), Rejected)


@pytest.mark.parametrize(
    "choose", [lambda raws: raws[:2], lambda raws: raws[::-1], lambda raws: (*raws, raws[0])]
)
def test_a_block_with_other_transactions_is_refused(
    follower, choose: Callable[[tuple[bytes, ...]], tuple[bytes, ...]]
):
    forged = encode(BlockAnswer(CHAIN.final(14), choose(CHAIN.raws(14))))
    assert isinstance(check_block(follower, 14, forged), Rejected)


@pytest.mark.parametrize("content", [b"", b"\xc0", b"\x90", bytes(1_000)])
def test_bytes_that_are_no_answer_are_refused(follower, content):
    assert isinstance(check_state(follower, KEYS, content), Rejected)
    assert isinstance(check_inclusion(follower, [bytes(32)], content), Rejected)
    assert isinstance(check_block(follower, 14, content), Rejected)
    assert isinstance(follower.take_headers(content, START_MS), Rejected)
