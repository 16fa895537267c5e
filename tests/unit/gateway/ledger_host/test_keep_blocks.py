"""Too few blocks to keep is one line: readings wait a week for whoever makes receipts of them."""

import pytest

from gateway.errors import SettingsError
from gateway.ledger_host.service import KEEP_BLOCKS_MIN, find_keep_blocks
from gateway.settings import LedgerSection, Settings


@pytest.mark.parametrize("wanted", [0, KEEP_BLOCKS_MIN, 10**9])
def test_all_or_a_week_may_be_kept(wanted: int):
    assert find_keep_blocks(Settings("x", ledger=LedgerSection(keep_blocks=wanted))) == wanted


@pytest.mark.parametrize("wanted", [1, KEEP_BLOCKS_MIN - 1])
def test_less_is_refused(wanted: int):
    with pytest.raises(SettingsError, match=f"at least {KEEP_BLOCKS_MIN}"):
        find_keep_blocks(Settings("x", ledger=LedgerSection(keep_blocks=wanted)))
