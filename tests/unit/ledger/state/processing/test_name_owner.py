"""Rules of NameOwner."""

import pytest

from ledger.state.identities import get_owner
from ledger.types.identity_bodies import NameOwner, RetireNode
from tests.support.identity_chain import METERING, OWNER, STRANGER, make_chain
from tests.support.transactions import ANNA, BEN, assert_applied, assert_failed

BODY = NameOwner(ANNA.address, OWNER.address)


def test_the_node_names_its_first_owner_and_the_owner_the_next():
    chain = make_chain()
    assert_applied(chain.run(METERING, BODY))
    assert get_owner(chain.state, ANNA.address) == OWNER.address
    assert_applied(chain.run(OWNER, NameOwner(ANNA.address, BEN.address)))
    assert get_owner(chain.state, ANNA.address) == BEN.address
    assert_failed(chain.run(OWNER, BODY), "not-owner")


@pytest.mark.parametrize("sender", [ANNA, OWNER, STRANGER])
def test_nobody_else_names_the_first_owner(sender):
    assert_failed(make_chain().run(sender, BODY), "not-owner")


def test_the_node_cannot_take_itself_back():
    chain = make_chain()
    assert_applied(chain.run(METERING, BODY))
    assert_failed(chain.run(METERING, NameOwner(ANNA.address, METERING.address)), "not-owner")


def test_an_unknown_node_has_no_owner():
    body = NameOwner(BEN.address, OWNER.address)
    assert_failed(make_chain().run(METERING, body), "unknown-node")


def test_a_retired_node_has_no_new_owner():
    chain = make_chain()
    assert_applied(chain.run(ANNA, RetireNode(ANNA.address, None)))
    assert_failed(chain.run(METERING, BODY), "retired")
