"""Rules of RevokeGrant."""

import msgspec
import pytest

from ledger.state.identities import StateIdentityFacts, get_revocation
from ledger.types.identity_bodies import AppealRevocation, DecideAppeal, RevocationCause
from ledger.types.identity_records import Revocation, RevocationState
from tests.support.identity import FOUNDATION, MAKER, UNIT, grant_id_of, sign_grant
from tests.support.identity_chain import GRANT, REVOCATION, STRANGER, make_chain
from tests.support.transactions import CHAIN_ID, HEIGHT, TIME_MS, assert_applied, assert_failed

GRANT_ID = grant_id_of(GRANT)


@pytest.mark.parametrize("sender", [MAKER, FOUNDATION])
def test_issuer_or_foundation_revokes_and_the_cause_is_on_record(sender):
    chain = make_chain()
    assert not StateIdentityFacts(chain.state, CHAIN_ID, TIME_MS).is_revoked(GRANT_ID)
    assert_applied(chain.run(sender, REVOCATION))
    assert get_revocation(chain.state, GRANT_ID) == Revocation(
        by=sender.address,
        subject=UNIT.address,
        cause=RevocationCause.DEVICE_STOLEN,
        note="stolen",
        height=HEIGHT,
        state=RevocationState.REVOKED,
    )
    assert StateIdentityFacts(chain.state, CHAIN_ID, TIME_MS).is_revoked(GRANT_ID)


@pytest.mark.parametrize("sender", [UNIT, STRANGER])
def test_nobody_else_does(sender):
    assert_failed(make_chain().run(sender, REVOCATION), "not-owner")


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("malformed", {"grant": b""}),
        ("malformed", {"note": "two\nlines"}),
        ("bad-signature", {"grant": sign_grant(GRANT, STRANGER)}),
        (
            "wrong-chain",
            {"grant": sign_grant(msgspec.structs.replace(GRANT, chain_id=bytes(32)), MAKER)},
        ),
    ],
)
def test_one_thing_broken(reason, changes):
    body = msgspec.structs.replace(REVOCATION, **changes)
    assert_failed(make_chain().run(FOUNDATION, body), reason)


def test_an_open_network_has_nothing_to_revoke():
    assert_failed(make_chain(has_foundation=False).run(MAKER, REVOCATION), "not-owner")


def test_a_grant_is_revoked_once_until_it_is_reinstated():
    chain = make_chain()
    assert_applied(chain.run(MAKER, REVOCATION))
    assert_failed(chain.run(FOUNDATION, REVOCATION), "already-exists")
    assert_applied(chain.run(UNIT, AppealRevocation(GRANT_ID, "it was found")))
    assert_applied(chain.run(FOUNDATION, DecideAppeal(GRANT_ID, True, "found indeed")))
    assert not StateIdentityFacts(chain.state, CHAIN_ID, TIME_MS).is_revoked(GRANT_ID)
    assert_applied(chain.run(MAKER, REVOCATION))
    assert StateIdentityFacts(chain.state, CHAIN_ID, TIME_MS).is_revoked(GRANT_ID)
