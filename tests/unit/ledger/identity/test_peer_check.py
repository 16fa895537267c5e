"""A connected peer is judged again as the chain goes on: valid at first, then one fact changed at a time."""

import dataclasses

import pytest

from ledger.identity.facts import Moment
from ledger.identity.grant import Role
from ledger.identity.grant_check import VerifiedUnit
from ledger.identity.peer_check import AcceptedPeer, judge_again
from ledger.identity.refusals import RefusalCode
from tests.support.identity import (
    MAKER,
    MAKER_GRANT,
    NOW_MS,
    OTHER,
    UNIT,
    Facts,
    grant_id_of,
    instance_of,
    unit_grant,
)

NOW = Moment(NOW_MS, is_trusted=True)
GRANT = unit_grant(UNIT)
IDS = (grant_id_of(MAKER_GRANT), grant_id_of(GRANT))
PROVEN = VerifiedUnit(MAKER.address, "gw-1", GRANT.not_after_ms, True, IDS)
PEER = AcceptedPeer(UNIT.address, Role.AGENT, instance_of(UNIT), PROVEN, ())


def code_of(peer: AcceptedPeer, facts: Facts, now: Moment = NOW) -> RefusalCode | None:
    refused = judge_again(peer, facts, now)
    return None if refused is None else refused.code


def test_nothing_is_said_while_nothing_changed():
    assert code_of(PEER, Facts()) is None
    assert code_of(PEER, Facts(retired={OTHER.address}, revoked={bytes(32)})) is None


@pytest.mark.parametrize("revoked", IDS)
def test_a_revoked_grant_ends_it_the_units_or_its_makers(revoked):
    assert code_of(PEER, Facts(revoked={revoked})) is RefusalCode.REVOKED


def test_a_retired_node_is_parted_with_in_an_open_network_too():
    facts = Facts(retired={UNIT.address})
    assert code_of(PEER, facts) is RefusalCode.RETIRED
    assert code_of(dataclasses.replace(PEER, unit=None), facts) is RefusalCode.RETIRED


def test_a_grant_ends_with_its_time():
    for is_trusted in (True, False):
        last = Moment(GRANT.not_after_ms - 1, is_trusted)
        assert code_of(PEER, Facts(), last) is None
        assert code_of(PEER, Facts(), Moment(GRANT.not_after_ms, is_trusted)) is RefusalCode.EXPIRED


def test_without_grants_there_is_nothing_to_revoke():
    assert code_of(dataclasses.replace(PEER, unit=None), Facts(revoked=set(IDS))) is None
