"""Rules of DecideAppeal."""

import pytest

from ledger.state.identities import StateIdentityFacts, get_revocation
from ledger.types.identity_bodies import AppealRevocation, DecideAppeal
from ledger.types.identity_records import RevocationState
from tests.support.identity import FOUNDATION, MAKER, UNIT, grant_id_of
from tests.support.identity_chain import GRANT, REVOCATION, make_chain
from tests.support.transactions import (
    CHAIN_ID,
    HEIGHT,
    TIME_MS,
    Chain,
    assert_applied,
    assert_failed,
)

GRANT_ID = grant_id_of(GRANT)


def appealed() -> Chain:
    chain = make_chain()
    assert_applied(chain.run(MAKER, REVOCATION))
    assert_applied(chain.run(UNIT, AppealRevocation(GRANT_ID, "it was found")))
    return chain


@pytest.mark.parametrize(
    ("is_reinstated", "state"),
    [(True, RevocationState.REINSTATED), (False, RevocationState.UPHELD)],
)
def test_the_foundation_decides_on_the_record(is_reinstated, state):
    chain = appealed()
    assert_applied(chain.run(FOUNDATION, DecideAppeal(GRANT_ID, is_reinstated, "heard")))
    revocation = get_revocation(chain.state, GRANT_ID)
    assert revocation is not None
    assert (revocation.state, revocation.decision) == (state, "heard")
    assert revocation.decided_height == HEIGHT
    facts = StateIdentityFacts(chain.state, CHAIN_ID, TIME_MS)
    assert facts.is_revoked(GRANT_ID) is not is_reinstated


@pytest.mark.parametrize("sender", [MAKER, UNIT])
def test_nobody_else_decides(sender):
    assert_failed(appealed().run(sender, DecideAppeal(GRANT_ID, True, "")), "not-owner")


def test_without_an_open_appeal_there_is_nothing_to_decide():
    chain = make_chain()
    decision = DecideAppeal(GRANT_ID, True, "")
    assert_failed(chain.run(FOUNDATION, decision), "unknown-grant")
    assert_applied(chain.run(MAKER, REVOCATION))
    assert_failed(chain.run(FOUNDATION, decision), "unknown-grant")


def test_an_appeal_is_decided_once_and_not_made_again():
    chain = appealed()
    assert_applied(chain.run(FOUNDATION, DecideAppeal(GRANT_ID, False, "no")))
    assert_failed(chain.run(FOUNDATION, DecideAppeal(GRANT_ID, True, "")), "unknown-grant")
    assert_failed(chain.run(UNIT, AppealRevocation(GRANT_ID, "please")), "already-exists")


def test_the_note_is_one_line():
    assert_failed(appealed().run(FOUNDATION, DecideAppeal(GRANT_ID, True, "a\tb")), "malformed")
