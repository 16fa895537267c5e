"""Rules of ListSoftware."""

import pytest

from ledger.state.identities import StateIdentityFacts
from ledger.types.identity_bodies import ListSoftware
from tests.support.identity import FOUNDATION, MAKER, MEASUREMENT
from tests.support.identity_chain import make_chain
from tests.support.transactions import ANNA, CHAIN_ID, TIME_MS, assert_applied, assert_failed

LISTED = ListSoftware(MEASUREMENT, "gateway 0.1.0", True)
REMOVED = ListSoftware(MEASUREMENT, "", False)


def test_the_foundation_lists_software_and_takes_it_off():
    chain = make_chain()
    facts = StateIdentityFacts(chain.state, CHAIN_ID, TIME_MS)
    assert not facts.is_listed(MEASUREMENT)
    assert_applied(chain.run(FOUNDATION, LISTED))
    assert facts.is_listed(MEASUREMENT)
    assert_applied(chain.run(FOUNDATION, REMOVED))
    assert not facts.is_listed(MEASUREMENT)


@pytest.mark.parametrize("sender", [MAKER, ANNA])
def test_nobody_else_lists_software(sender):
    assert_failed(make_chain().run(sender, LISTED), "not-owner")


def test_an_open_network_has_no_list():
    assert_failed(make_chain(has_foundation=False).run(FOUNDATION, LISTED), "not-owner")


def test_what_is_not_listed_cannot_be_taken_off():
    assert_failed(make_chain().run(FOUNDATION, REMOVED), "out-of-range")


def test_the_label_is_one_line():
    body = ListSoftware(MEASUREMENT, "gateway\x1b[2J", True)
    assert_failed(make_chain().run(FOUNDATION, body), "malformed")
