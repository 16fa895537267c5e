"""What failed is refused for a while, and no more is remembered than a limit says."""

from ledger.errors import Reason
from ledger.node.failures import REFUSED_BLOCKS, REMEMBERED_MAX, FailedTransactions


def test_a_failed_transaction_is_refused_for_some_blocks_with_the_reason():
    failed = FailedTransactions()
    failed.remember(b"one", 5, "the worker was killed")
    refusal = failed.check(b"one", 6)
    assert refusal is not None
    assert refusal.reason is Reason.NOT_RUN
    assert "height 5 (the worker was killed)" in refusal.detail
    assert failed.check(b"other", 6) is None
    assert failed.check(b"one", 5 + REFUSED_BLOCKS - 1) is not None
    assert failed.check(b"one", 5 + REFUSED_BLOCKS) is None


def test_the_oldest_makes_room():
    failed = FailedTransactions()
    for number in range(REMEMBERED_MAX + 1):
        failed.remember(b"%d" % number, 1, "")
    assert failed.check(b"0", 2) is None
    assert failed.check(b"1", 2) is not None
    assert failed.check(b"%d" % REMEMBERED_MAX, 2) is not None
