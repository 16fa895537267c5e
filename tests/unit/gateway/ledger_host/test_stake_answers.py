"""What the ledger answers about agents, from the states of a chain."""

import msgspec

from gateway.ledger_host.stake_replies import (
    build_agents_reply,
    build_proposals_reply,
)
from ledger.types.stake import Change
from ledger.types.transaction import Delegate, Propose
from tests.support.stake_chain import BOND, StakeChain, people
from tests.support.transactions import BEN

AGENTS = people(4)


def test_agents_and_proposals_survive_json():
    chain = StakeChain(*AGENTS, people=(*AGENTS, BEN))
    chain.change_agent(AGENTS[0], bond=BOND)
    chain.must(BEN, Delegate(AGENTS[0].address, 10**10, BEN.address))
    chain.must(BEN, Propose(10**10, "t", (Change("missed_min", 3),), 10**6))
    agents = build_agents_reply(chain.state, chain.time_ms)
    assert msgspec.json.decode(msgspec.json.encode(agents), type=type(agents)) == agents
    assert agents.ends_height - agents.root_height == 6
    proposals = build_proposals_reply(chain.state)
    assert msgspec.json.decode(msgspec.json.encode(proposals), type=type(proposals)) == proposals
    assert proposals.proposals[0].status == "open"
