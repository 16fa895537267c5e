"""The first state of a chain."""

import msgspec
import pytest

from ledger.codec import canonical
from ledger.errors import GenesisError
from ledger.params import AMOUNT_MAX, PROTOCOL_VERSION
from ledger.state.keys import FOUNDATION_KEY, account_key, node_index_key, node_key
from ledger.state.transition import genesis_writes
from ledger.types.genesis import Allocation, Genesis, GenesisAgent
from ledger.types.records import Account, Node
from tests.support.transactions import ANNA, BEN, Person

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
    assert genesis_writes(GENESIS) == {
        account_key(ANNA.address): canonical.encode(Account(5)),
        account_key(BEN.address): canonical.encode(Account(7)),
        node_key(ANNA.address): canonical.encode(Node(VOTES.address, METERS.address, 0)),
        node_index_key(ANNA.address): ANNA.address,
        node_index_key(VOTES.address): ANNA.address,
        node_index_key(METERS.address): ANNA.address,
    }


def test_the_foundation_stands_in_the_first_state():
    founded = msgspec.structs.replace(GENESIS, foundation=BEN.address)
    assert genesis_writes(founded)[FOUNDATION_KEY] == BEN.address


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
