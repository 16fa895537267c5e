"""What the ledger answers about agents, from the states of a chain."""

import msgspec

from gateway.ledger_host.stake_answers import (
    build_agents_reply,
    build_proposals_reply,
    list_skipped,
)
from ledger.state.epochs import compute_leader_index, get_epoch
from ledger.types.block import Header
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


def header(epoch: int, parent_slot: int, slot: int) -> Header:
    zeros = bytes(32)
    return Header(
        *(2, zeros, epoch, slot, 1, parent_slot, zeros, 0, zeros, False),
        *(zeros, zeros, zeros, zeros, bytes(13), zeros),
    )


def test_who_led_the_skipped_slots_is_named():
    chain = StakeChain(*AGENTS)
    epoch = get_epoch(chain.state)
    expected = [epoch.current[compute_leader_index(epoch, slot)].hex() for slot in (3, 4)]
    assert list_skipped(chain.state, header(0, 2, 5)) == tuple(expected)
    assert list_skipped(chain.state, header(0, 2, 3)) == ()
    assert list_skipped(chain.state, header(7, 2, 5)) == ()
    assert len(list_skipped(chain.state, header(0, 1, 10**9))) == 64
