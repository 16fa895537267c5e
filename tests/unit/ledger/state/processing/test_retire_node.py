"""Rules of RetireNode, and that a retired identity never counts again."""

import pytest

from ledger.state.identities import StateIdentityFacts, get_retirement
from ledger.types.identity_bodies import NameOwner, RetireNode
from ledger.types.identity_records import Retirement
from ledger.types.transaction import Anchor, RegisterDevice
from tests.support.identity_chain import CONSENSUS, METERING, OWNER, STRANGER, make_chain
from tests.support.transactions import (
    ANNA,
    BEN,
    CARLA,
    CHAIN_ID,
    HEIGHT,
    TIME_MS,
    Chain,
    Person,
    assert_applied,
    assert_failed,
    register_node,
)

BODY = RetireNode(ANNA.address, BEN.address)
DEVICE, PROFILE = b"d" * 32, b"p" * 32
ANCHOR = Anchor(DEVICE, PROFILE, 1, 1, 0, 0, bytes(32), bytes(32))


def owned() -> Chain:
    chain = make_chain()
    assert_applied(chain.run(METERING, NameOwner(ANNA.address, OWNER.address)))
    return chain


@pytest.mark.parametrize("sender", [OWNER, ANNA, METERING])
def test_the_owner_or_the_node_itself_retires_it(sender):
    chain = owned()
    assert_applied(chain.run(sender, BODY))
    assert get_retirement(chain.state, ANNA.address) == Retirement(
        HEIGHT, sender.address, BEN.address
    )
    assert StateIdentityFacts(chain.state, CHAIN_ID, TIME_MS).is_retired(ANNA.address)


@pytest.mark.parametrize("sender", [STRANGER, CONSENSUS, BEN])
def test_nobody_else_does(sender):
    chain = owned()
    assert_failed(chain.run(sender, BODY), "not-owner")
    assert not StateIdentityFacts(chain.state, CHAIN_ID, TIME_MS).is_retired(ANNA.address)


def test_an_unknown_node_cannot_be_retired():
    assert_failed(owned().run(ANNA, RetireNode(BEN.address, None)), "unknown-node")


def test_a_node_is_retired_once():
    chain = owned()
    assert_applied(chain.run(OWNER, BODY))
    assert_failed(chain.run(OWNER, BODY), "retired")


def test_a_node_does_not_succeed_itself():
    assert_failed(owned().run(OWNER, RetireNode(ANNA.address, ANNA.address)), "out-of-range")


def test_a_retired_node_succeeds_nobody():
    chain = owned()
    keys = Person("ben's consensus"), Person("ben's metering")
    assert_applied(chain.run(BEN, register_node(BEN, *keys)))
    assert_applied(chain.run(BEN, RetireNode(BEN.address, None)))
    assert_failed(chain.run(OWNER, BODY), "out-of-range")


def test_a_retired_node_anchors_and_registers_nothing_ever_again():
    chain = owned()
    assert_applied(chain.run(METERING, RegisterDevice(DEVICE, PROFILE)))
    assert_applied(chain.run(OWNER, BODY))
    assert_failed(chain.run(METERING, ANCHOR), "retired")
    assert_failed(chain.run(METERING, RegisterDevice(b"e" * 32, PROFILE)), "retired")
    assert_failed(chain.run(METERING, RegisterDevice(DEVICE, b"q" * 32)), "retired")
    fresh = register_node(ANNA, Person("new consensus"), Person("new metering"))
    assert_failed(chain.run(ANNA, fresh), "retired")
    assert_failed(chain.run(CARLA, register_node(CARLA, CONSENSUS, Person("m"))), "already-exists")


def test_the_successor_registers_afterwards():
    chain = owned()
    assert_applied(chain.run(OWNER, BODY))
    keys = Person("ben's consensus"), Person("ben's metering")
    assert_applied(chain.run(BEN, register_node(BEN, *keys)))
