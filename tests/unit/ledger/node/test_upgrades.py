"""A chain whose holders voted for rules that this program does not know stops in time, and says why."""

import pytest

from ledger.crypto import domains
from ledger.errors import UpgradeNeededError
from ledger.node.upgrades import check_rules_known
from ledger.params import DAY_MS, PROTOCOL_VERSION
from ledger.types.stake import BallotChoice, Change
from ledger.types.transaction import CastBallot, Delegate, Propose
from tests.support.stake_chain import BOND, StakeChain
from tests.support.transactions import ANNA, BEN


def test_voted_rules_that_nobody_here_knows_end_the_node_at_their_first_block():
    chain = StakeChain(ANNA, people=(ANNA, BEN))
    chain.change_agent(ANNA, bond=BOND)
    chain.must(BEN, Delegate(ANNA.address, 10**11, BEN.address))
    change = Change("protocol_version", PROTOCOL_VERSION + 1)
    chain.must(BEN, Propose(10**10, "new rules", (change,), chain.height + 20))
    proposal = domains.proposal_id(BEN.address, 1)
    chain.must(BEN, CastBallot(proposal, BallotChoice.YES))
    chain.time_ms += 8 * DAY_MS
    chain.end_epoch()
    check_rules_known(chain.state)
    chain.end_epochs(4)
    with pytest.raises(UpgradeNeededError, match=f"version {PROTOCOL_VERSION + 1} of the rules"):
        check_rules_known(chain.state)
