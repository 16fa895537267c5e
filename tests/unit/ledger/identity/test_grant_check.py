"""The chain of grants: one that holds, then one thing broken at a time, each with its own code."""

from typing import Any

import msgspec
import pytest

from ledger.identity.facts import Moment
from ledger.identity.grant import Role
from ledger.identity.grant_check import VerifiedUnit, check_grants
from ledger.identity.refusals import RefusalCode, Refused
from tests.support.identity import (
    DAY_MS,
    FOUNDATION,
    MAKER,
    MAKER_GRANT,
    NOW_MS,
    OTHER,
    UNIT,
    Facts,
    grant_id_of,
    sign_grant,
    unit_grant,
)

NOW = Moment(NOW_MS, is_trusted=True)
SHORT_UNIT = {"not_before_ms": NOW_MS - 1, "not_after_ms": NOW_MS + 1}


def judge(
    maker: dict[str, Any] | None = None,
    unit: dict[str, Any] | None = None,
    *,
    signers: tuple[Any, Any] = (FOUNDATION, MAKER),
    node: Any = UNIT,
    role: Role = Role.AGENT,
    facts: Facts | None = None,
    now: Moment = NOW,
    allows_untrusted_clock: bool = False,
) -> VerifiedUnit | Refused:
    chain = (
        sign_grant(msgspec.structs.replace(MAKER_GRANT, **(maker or {})), signers[0]),
        sign_grant(unit_grant(UNIT, **(unit or {})), signers[1]),
    )
    return check_grants(
        chain,
        node_id=node.address,
        role=role,
        facts=facts or Facts(),
        now=now,
        allows_untrusted_clock=allows_untrusted_clock,
    )


def test_grants_that_hold_tell_maker_model_end_and_ids():
    unit = unit_grant(UNIT)
    ids = (grant_id_of(MAKER_GRANT), grant_id_of(unit))
    assert judge() == VerifiedUnit(
        MAKER.address, "gw-1", unit.not_after_ms, is_time_judged=True, grant_ids=ids
    )


@pytest.mark.parametrize(
    ("code", "case"),
    [
        ("wrong-chain", {"maker": {"chain_id": bytes(32)}}),
        ("wrong-chain", {"unit": {"chain_id": bytes(32)}}),
        ("unknown-issuer", {"maker": {"issuer": OTHER.address}}),
        ("unknown-issuer", {"unit": {"issuer": OTHER.address}}),
        ("unknown-issuer", {"facts": Facts(foundation=OTHER.address)}),
        ("bad-signature", {"signers": (MAKER, MAKER)}),
        ("bad-signature", {"signers": (FOUNDATION, FOUNDATION)}),
        ("malformed", {"maker": {"not_after_ms": 0}}),
        ("malformed", {"unit": {"not_after_ms": 0}}),
        ("not-permitted", {"unit": {"subject": OTHER.address}}),
        ("not-permitted", {"node": OTHER}),
        ("not-permitted", {"role": Role.LIGHT}),
        ("not-permitted", {"maker": {"roles": (Role.FULL,)}}),
        ("not-permitted", {"unit": {"models": ("gw-3",)}}),
        ("not-permitted", {"unit": {"not_before_ms": MAKER_GRANT.not_before_ms - 1}}),
        ("not-permitted", {"unit": {"not_after_ms": MAKER_GRANT.not_after_ms + 1}}),
        ("revoked", {"facts": Facts(revoked={grant_id_of(MAKER_GRANT)})}),
        ("revoked", {"facts": Facts(revoked={grant_id_of(unit_grant(UNIT))})}),
        ("expired", {"unit": SHORT_UNIT, "now": Moment(NOW_MS + 1, is_trusted=True)}),
        ("expired", {"unit": SHORT_UNIT, "now": Moment(NOW_MS + 1, is_trusted=False)}),
        ("not-yet-valid", {"unit": SHORT_UNIT, "now": Moment(NOW_MS - 2, is_trusted=True)}),
        ("not-yet-valid", {"now": Moment(0, is_trusted=True)}),
        ("clock-untrusted", {"now": Moment(NOW_MS, is_trusted=False)}),
        ("clock-untrusted", {"now": Moment(0, is_trusted=False)}),
    ],
)
def test_one_thing_broken(code, case):
    refused = judge(**case)
    assert isinstance(refused, Refused)
    assert refused.code.value == code
    assert "\n" not in str(refused)


def test_the_edges_of_validity_are_from_inclusive_until_exclusive():
    for time_ms, is_valid in ((-2, False), (-1, True), (0, True), (1, False)):
        judged = judge(unit=SHORT_UNIT, now=Moment(NOW_MS + time_ms, is_trusted=True))
        assert isinstance(judged, VerifiedUnit) is is_valid


def test_a_node_without_time_may_look_for_it_and_what_it_accepts_says_so():
    now = Moment(0, is_trusted=False)
    judged = judge(now=now, allows_untrusted_clock=True)
    assert isinstance(judged, VerifiedUnit)
    assert not judged.is_time_judged
    certainly_expired = Moment(NOW_MS + 2000 * DAY_MS, is_trusted=False)
    refused = judge(now=certainly_expired, allows_untrusted_clock=True)
    assert isinstance(refused, Refused)
    assert refused.code is RefusalCode.EXPIRED


@pytest.mark.parametrize(
    ("chain", "code"),
    [
        ((), RefusalCode.UNKNOWN_ISSUER),
        ((sign_grant(MAKER_GRANT, FOUNDATION),), RefusalCode.MALFORMED),
        ((sign_grant(unit_grant(UNIT), MAKER),) * 2, RefusalCode.MALFORMED),
        ((sign_grant(MAKER_GRANT, FOUNDATION),) * 2, RefusalCode.MALFORMED),
        ((sign_grant(MAKER_GRANT, FOUNDATION), b"\x90"), RefusalCode.MALFORMED),
    ],
)
def test_a_chain_has_exactly_two_levels(chain, code):
    refused = check_grants(
        chain,
        node_id=UNIT.address,
        role=Role.AGENT,
        facts=Facts(),
        now=NOW,
    )
    assert isinstance(refused, Refused)
    assert refused.code is code


@pytest.mark.parametrize("position", [0, 1])
def test_no_changed_byte_of_a_grant_is_accepted(position):
    chain = [sign_grant(MAKER_GRANT, FOUNDATION), sign_grant(unit_grant(UNIT), MAKER)]
    raw = chain[position]
    for at in range(len(raw)):
        chain[position] = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        judged = check_grants(
            chain,
            node_id=UNIT.address,
            role=Role.AGENT,
            facts=Facts(),
            now=NOW,
        )
        assert isinstance(judged, Refused), at
