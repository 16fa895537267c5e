"""Checking in parts gives the verdict of checking one by one, whoever answers what."""

import socket
import threading

import pytest

from ledger.errors import Reason, Rejected
from ledger.node.checking import (
    PART_TRANSACTIONS,
    SHARED_TRANSACTIONS_MIN,
    Checking,
    TransactionChecker,
    check_one_by_one,
)
from ledger.node.verifier_process import GENUINE, NOT_GENUINE, READY, main
from ledger.node.verifiers import Verifiers
from ledger.types.transaction import Transfer
from tests.support.transactions import ANNA, BEN, CARLA, CHAIN_ID, build, sign

RAWS = [sign(build(ANNA, Transfer(BEN.address, 1), nonce=n), ANNA) for n in range(200)]
MORE = [sign(build(BEN, Transfer(ANNA.address, 1), nonce=n), BEN) for n in range(60)]
COUNTS = [0, 1, PART_TRANSACTIONS + 1, SHARED_TRANSACTIONS_MIN, SHARED_TRANSACTIONS_MIN + 1, 200]


def spoil(raw: bytes) -> bytes:
    """Change the last byte of a signature."""
    at = len(raw) - 2  # behind it stands that there is no fee signature
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


@pytest.fixture
def checker():
    with TransactionChecker(CHAIN_ID, verifiers=0) as checker:
        yield checker


@pytest.mark.parametrize("count", COUNTS)
def test_all_are_checked_in_order(checker, count):
    checked = checker.check(tuple(RAWS[:count]))
    assert checked == check_one_by_one(RAWS[:count], CHAIN_ID)
    assert [one.raw for one in checked] == RAWS[:count]


@pytest.mark.parametrize(("malformed", "forged"), [(150, 70), (70, 150), (64, 65), (65, 64)])
def test_the_first_bad_one_is_the_verdict(checker, malformed, forged):
    raws = list(RAWS)
    raws[malformed] = b"not a transaction"
    raws[forged] = spoil(raws[forged])
    verdict = checker.check(tuple(raws))
    assert isinstance(verdict, Rejected)
    assert verdict == check_one_by_one(raws, CHAIN_ID)
    assert (verdict.reason is Reason.MALFORMED) == (malformed < forged)


def test_a_fee_payers_signature_counts_too(checker):
    paid = build(ANNA, Transfer(BEN.address, 1), fee_payer=CARLA.address)
    raws = [*RAWS, sign(paid, ANNA, CARLA)]
    assert not isinstance(checker.check(tuple(raws)), Rejected)
    verdict = checker.check((*RAWS, sign(paid, ANNA, BEN)))
    assert isinstance(verdict, Rejected)
    assert verdict.detail == "the fee signature is not the fee payer's"


def test_two_blocks_may_be_under_way_and_be_asked_for_twice(checker):
    first, second = checker.start(RAWS[:100]), checker.start(RAWS[100:])
    whole = (*first.result(), *second.result())
    assert [one.raw for one in whole] == RAWS
    assert first.result() is first.result()


def test_what_is_expected_is_opened_once_and_forgotten_with_the_next_piece():
    blocks = [tuple(RAWS[start : start + 100]) for start in (0, 100)] + [tuple(MORE)]
    with TransactionChecker(CHAIN_ID, verifiers=0) as checker:
        checker.expect([*blocks, ()])
        begun = dict(checker._expected)
        assert list(begun) == blocks
        assert checker.check(blocks[1]) is begun[blocks[1]].result()
        assert checker.check(blocks[0]) == check_one_by_one(blocks[0], CHAIN_ID)
        checker.expect(blocks[:1])  # too little to begin with
        assert not checker._expected
        assert all(part.is_genuine is False for part in begun[blocks[2]].parts)
        assert checker.check(blocks[2]) == check_one_by_one(MORE, CHAIN_ID)


def test_an_expected_block_is_refused_for_its_own_fault():
    forged = (*MORE[:20], spoil(MORE[20]), *MORE[21:])
    with TransactionChecker(CHAIN_ID, verifiers=0) as checker:
        checker.expect([tuple(RAWS), forged])
        assert checker.check(forged) == check_one_by_one(forged, CHAIN_ID)
        assert not isinstance(checker.check(tuple(RAWS)), Rejected)


@pytest.mark.parametrize("wrong", [0, 5, 12])
def test_a_verifier_that_refuses_a_good_part_decides_nothing(wrong):
    checking = Checking(RAWS, CHAIN_ID, Verifiers(0))
    for part in checking.parts:
        part.verify()
    checking.parts[wrong].is_genuine = False
    assert checking.result() == check_one_by_one(RAWS, CHAIN_ID)


def test_a_verifier_says_which_parts_are_genuine():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(30)
    verifier = threading.Thread(target=main, args=(theirs.detach(),))
    verifier.start()
    with ours:
        assert ours.recv(1) == READY
        for raws, answer in ((RAWS[:16], GENUINE), ([*RAWS[:3], spoil(RAWS[3])], NOT_GENUINE)):
            ours.send(Checking(raws, CHAIN_ID, Verifiers(0)).parts[0].encode())
            assert ours.recv(1) == answer
    verifier.join(30)
    assert not verifier.is_alive()
