"""The first state of a chain."""

import msgspec
import pytest

from ledger.codec import canonical
from ledger.errors import GenesisError
from ledger.params import AMOUNT_MAX, PROTOCOL_VERSION
from ledger.state.accounts import REWARD_POOL, STAKE_ESCROW, get_account
from ledger.state.agents import get_agent
from ledger.state.epochs import get_agent_set
from ledger.state.keys import account_key, node_index_key, node_key
from ledger.state.stake import get_allowance, get_stake
from ledger.state.transition import genesis_writes
from ledger.types.genesis import Allocation, Genesis, GenesisAgent
from ledger.types.genesis_file import compute_supply, genesis_chain_id
from ledger.types.records import Account, Node
from tests.support.transactions import ANNA, BEN, Person, get_supply

VOTES, METERS = Person("votes"), Person("meters")
AGENT = GenesisAgent(ANNA.address, VOTES.address, METERS.address)
GENESIS = Genesis(
    version=PROTOCOL_VERSION,
    name="test",
    time_ms=1,
    slot_ms=3_000,
    heartbeat_ms=30_000,
    agents=(AGENT,),
    allocations=(Allocation(ANNA.address, 5), Allocation(BEN.address, 7)),
)


def test_allocations_and_agents_are_the_first_state():
    writes = genesis_writes(GENESIS)
    expected = {
        account_key(ANNA.address): canonical.encode(Account(5)),
        account_key(BEN.address): canonical.encode(Account(7)),
        node_key(ANNA.address): canonical.encode(Node(VOTES.address, METERS.address, 0)),
        node_index_key(ANNA.address): ANNA.address,
        node_index_key(VOTES.address): ANNA.address,
        node_index_key(METERS.address): ANNA.address,
    }
    assert expected.items() <= writes.items()


def test_bonds_and_the_reward_pool_are_part_of_the_supply():
    agent = msgspec.structs.replace(AGENT, bond=100)
    genesis = msgspec.structs.replace(GENESIS, agents=(agent,), reward_pool=1_000)
    state = {key: value for key, value in genesis_writes(genesis).items() if value is not None}
    assert get_supply(state) == compute_supply(genesis) == 1_112
    assert get_account(state, REWARD_POOL).balance == 1_000
    assert get_account(state, STAKE_ESCROW).balance == get_stake(state, ANNA.address) == 100
    known = get_agent(state, ANNA.address)
    assert known is not None
    assert known.bond == 100
    assert get_allowance(state, METERS.address).stake == 100


def test_the_first_set_leads_in_the_order_of_node_ids():
    genesis = msgspec.structs.replace(GENESIS, agents=(AGENT, SECOND))
    state = {key: value for key, value in genesis_writes(genesis).items() if value is not None}
    first = get_agent_set(state)
    assert [seat.node for seat in first.seats] == sorted((ANNA.address, BEN.address))
    assert (first.epoch, first.order_seed) == (0, genesis_chain_id(genesis))


def test_the_whole_supply_may_be_allocated():
    shares = (Allocation(ANNA.address, AMOUNT_MAX - 1), Allocation(BEN.address, 1))
    assert genesis_writes(msgspec.structs.replace(GENESIS, allocations=shares))


SECOND = GenesisAgent(BEN.address, Person("v2").address, Person("m2").address)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": PROTOCOL_VERSION + 1}, "version"),
        (
            {"allocations": (Allocation(ANNA.address, AMOUNT_MAX), Allocation(BEN.address, 1))},
            "add up to more",
        ),
        (
            {"allocations": (Allocation(ANNA.address, 1), Allocation(ANNA.address, 1))},
            "two allocations",
        ),
        (
            {"allocations": (Allocation(ANNA.address, 0), Allocation(ANNA.address, 0))},
            "two allocations",
        ),
        ({"allocations": (Allocation(REWARD_POOL, 1),)}, "the ledger's own"),
        ({"reward_pool": AMOUNT_MAX}, "add up to more"),
        ({"agents": (AGENT, AGENT)}, "used twice"),
        ({"agents": (GenesisAgent(ANNA.address, VOTES.address, VOTES.address),)}, "used twice"),
        (
            {"agents": (AGENT, msgspec.structs.replace(SECOND, consensus=VOTES.address))},
            "used twice",
        ),
        (
            {"agents": (AGENT, msgspec.structs.replace(SECOND, metering=ANNA.address))},
            "used twice",
        ),
        ({"agents": (msgspec.structs.replace(AGENT, node=bytes(32)),)}, "not a valid"),
        ({"agents": (msgspec.structs.replace(AGENT, consensus=b"\xff" * 32),)}, "not a valid"),
    ],
)
def test_a_genesis_that_contradicts_itself_is_refused_in_one_line(changes, message):
    with pytest.raises(GenesisError, match=message) as error:
        genesis_writes(msgspec.structs.replace(GENESIS, **changes))
    assert "\n" not in str(error.value)


def test_two_different_agents_are_welcome():
    writes = genesis_writes(msgspec.structs.replace(GENESIS, agents=(AGENT, SECOND)))
    assert node_key(ANNA.address) in writes
    assert node_key(BEN.address) in writes
