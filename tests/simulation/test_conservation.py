"""Random transactions of all kinds: SSP is neither made nor lost, and a second run gives the same roots.

`SMARTSHARE_RANDOM_TRANSACTIONS=1000000` runs the long form; the default is for every day.
"""

import os

import pytest

from tests.support.random_ledger import RandomLedger

TRANSACTIONS = int(os.environ.get("SMARTSHARE_RANDOM_TRANSACTIONS", "20000"))
BLOCK_TRANSACTIONS = 40
SEED = 2026

pytestmark = [pytest.mark.simulation, pytest.mark.timeout(0)]


def test_random_transactions_conserve_the_supply_and_a_rerun_gives_the_same_roots():
    blocks_max = 2 * TRANSACTIONS // BLOCK_TRANSACTIONS
    first, second = (RandomLedger(SEED, blocks_max=blocks_max) for _ in range(2))
    while first.counts.transactions < TRANSACTIONS:
        assert first.step(BLOCK_TRANSACTIONS) == second.step(BLOCK_TRANSACTIONS)
    counts = first.counts
    print(counts)
    assert counts == second.counts
    # The run is worth nothing unless it went where it hurts.
    assert counts.applied > counts.transactions // 4
    assert counts.epochs >= 5
    assert counts.convictions > 0
    assert counts.newcomers > 0
