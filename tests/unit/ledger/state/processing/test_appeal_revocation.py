"""Rules of AppealRevocation."""

import pytest

from ledger.state.identities import StateIdentityFacts, get_revocation
from ledger.types.identity_bodies import AppealRevocation
from ledger.types.identity_records import RevocationState
from tests.support.identity import FOUNDATION, MAKER, UNIT, grant_id_of
from tests.support.identity_chain import GRANT, REVOCATION, make_chain
from tests.support.transactions import CHAIN_ID, TIME_MS, Chain, assert_applied, assert_failed

GRANT_ID = grant_id_of(GRANT)
BODY = AppealRevocation(GRANT_ID, "it was found")


def revoked() -> Chain:
    chain = make_chain()
    assert_applied(chain.run(MAKER, REVOCATION))
    return chain


def test_the_subject_appeals_on_the_record_and_stays_revoked():
    chain = revoked()
    assert_applied(chain.run(UNIT, BODY))
    revocation = get_revocation(chain.state, GRANT_ID)
    assert revocation is not None
    assert (revocation.state, revocation.statement) == (RevocationState.APPEALED, "it was found")
    assert StateIdentityFacts(chain.state, CHAIN_ID, TIME_MS).is_revoked(GRANT_ID)


@pytest.mark.parametrize("sender", [MAKER, FOUNDATION])
def test_nobody_else_appeals(sender):
    assert_failed(revoked().run(sender, BODY), "not-owner")


def test_one_appeal_a_revocation():
    chain = revoked()
    assert_applied(chain.run(UNIT, BODY))
    assert_failed(chain.run(UNIT, BODY), "already-exists")


def test_what_is_not_revoked_is_not_appealed():
    assert_failed(make_chain().run(UNIT, BODY), "unknown-grant")


def test_the_statement_is_one_line():
    assert_failed(revoked().run(UNIT, AppealRevocation(GRANT_ID, "a\nb")), "malformed")
