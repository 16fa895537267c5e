"""Checking on several threads gives the verdict of checking one by one."""

import pytest

from ledger.errors import Reason, Rejected
from ledger.node.checking import CHUNK_TRANSACTIONS, TransactionChecker
from ledger.types.transaction import Transfer
from tests.support.transactions import ANNA, BEN, CHAIN_ID, build, sign

RAWS = [sign(build(ANNA, Transfer(BEN.address, 1), nonce=n), ANNA) for n in range(200)]


@pytest.fixture(scope="module")
def checker():
    with TransactionChecker(CHAIN_ID, threads=2) as checker:
        yield checker


@pytest.mark.parametrize("count", [0, 1, CHUNK_TRANSACTIONS, CHUNK_TRANSACTIONS + 1, 200])
def test_all_are_checked_in_order(checker, count):
    checked = checker.check(RAWS[:count])
    assert not isinstance(checked, Rejected)
    assert [one.raw for one in checked] == RAWS[:count]


def test_the_first_bad_one_is_the_verdict(checker):
    raws = list(RAWS)
    raws[150] = b"not a transaction"
    raws[70] = raws[70][:-1] + bytes([raws[70][-1] ^ 1])
    verdict = checker.check(raws)
    assert isinstance(verdict, Rejected)
    assert verdict.reason in {Reason.MALFORMED, Reason.BAD_SIGNATURE}
    assert verdict == checker.check(raws[70:71])


def test_two_blocks_may_be_under_way(checker):
    first, second = checker.start(RAWS[:100]), checker.start(RAWS[100:])
    whole = (second.result(), first.result())
    assert not any(isinstance(part, Rejected) for part in whole)
