"""Rules of RenewLease."""

import pytest

from ledger.params import LEASE_MS
from ledger.state.identities import StateIdentityFacts, get_lease
from ledger.types.identity_bodies import RenewLease, RetireNode
from ledger.types.identity_records import Lease
from tests.support.identity_chain import METERING, STRANGER, make_chain
from tests.support.transactions import (
    ANNA,
    CHAIN_ID,
    HEIGHT,
    TIME_MS,
    Chain,
    assert_applied,
    assert_failed,
)

FIRST, OTHER = b"1" * 32, b"2" * 32
LEASE_HEIGHTS = LEASE_MS // 3_000


def leased() -> Chain:
    chain = make_chain()
    assert_applied(chain.run(METERING, RenewLease(FIRST, 5)))
    return chain


def test_an_instance_takes_the_lease_and_the_chain_tells_until_when():
    chain = leased()
    assert get_lease(chain.state, ANNA.address) == Lease(FIRST, 5, TIME_MS, HEIGHT)
    facts = StateIdentityFacts(chain.state, CHAIN_ID, TIME_MS).lease(ANNA.address)
    assert facts is not None
    assert (facts.instance, facts.alive_until_ms) == (FIRST, TIME_MS + LEASE_MS)


def test_a_renewal_moves_the_end_and_keeps_the_start():
    chain = leased()
    chain.height += 100
    assert_applied(chain.run(METERING, RenewLease(FIRST, 6), expiry_height=chain.height))
    assert get_lease(chain.state, ANNA.address) == Lease(FIRST, 6, TIME_MS + 300_000, HEIGHT)


def test_another_instance_is_refused_while_the_lease_is_alive():
    chain = leased()
    chain.height += LEASE_HEIGHTS - 1
    outcome = chain.run(METERING, RenewLease(OTHER, 1), expiry_height=chain.height)
    assert_failed(outcome, "lease-held")
    assert FIRST.hex()[:16] in outcome.reason
    chain.height += 1
    assert_applied(chain.run(METERING, RenewLease(OTHER, 1), expiry_height=chain.height))
    assert_failed(
        chain.run(METERING, RenewLease(FIRST, 6), expiry_height=chain.height), "lease-held"
    )


@pytest.mark.parametrize("renewal", [0, 4, 5])
def test_a_twin_of_the_instance_is_noticed_by_its_renewals(renewal):
    assert_failed(leased().run(METERING, RenewLease(FIRST, renewal)), "lease-held")


def test_an_instance_whose_lease_ended_still_counts_up():
    chain = leased()
    chain.height += 2 * LEASE_HEIGHTS
    assert_failed(
        chain.run(METERING, RenewLease(FIRST, 5), expiry_height=chain.height), "lease-held"
    )
    assert_applied(chain.run(METERING, RenewLease(FIRST, 6), expiry_height=chain.height))


@pytest.mark.parametrize("sender", [ANNA, STRANGER])
def test_only_the_metering_key_of_a_node_renews(sender):
    assert_failed(make_chain().run(sender, RenewLease(FIRST, 1)), "not-owner")


def test_a_retired_node_renews_nothing():
    chain = leased()
    assert_applied(chain.run(ANNA, RetireNode(ANNA.address, None)))
    assert_failed(chain.run(METERING, RenewLease(FIRST, 6)), "retired")
