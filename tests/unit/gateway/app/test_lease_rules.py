"""What a gateway does about its identity: one row for each thing the chain may say."""

import pytest

from gateway.app.lease_rules import RENEWAL_MS, Step, decide
from gateway.model.ledger_api import IdentityReply
from ledger.params import LEASE_MS

OURS, OTHER = b"1" * 32, b"2" * 32
NOW = 1_000_000_000


def known(instance: bytes | None = None, renewal: int = 5, age_ms: int = 0) -> IdentityReply:
    if instance is None:
        return IdentityReply(registered=True, time_ms=NOW)
    return IdentityReply(
        registered=True,
        time_ms=NOW,
        lease_instance=instance.hex(),
        lease_renewal=renewal,
        lease_until_ms=NOW - age_ms + LEASE_MS,
    )


@pytest.mark.parametrize(
    ("reply", "step"),
    [
        (IdentityReply(registered=False, time_ms=NOW), Step.REGISTER),
        (IdentityReply(registered=True, time_ms=NOW, retired_height=7), Step.STOP_RETIRED),
        (known(), Step.TAKE),
        (known(OURS), Step.HOLD),
        (known(OURS, age_ms=RENEWAL_MS - 1), Step.HOLD),
        (known(OURS, age_ms=RENEWAL_MS), Step.RENEW),
        (known(OURS, age_ms=LEASE_MS * 2), Step.RENEW),
        (known(OURS, renewal=4), Step.HOLD),
        (known(OURS, renewal=6), Step.STOP_TWIN),
        (known(OTHER), Step.WAIT),
        (known(OTHER, renewal=9), Step.WAIT),
        (known(OTHER, age_ms=LEASE_MS - 1), Step.WAIT),
        (known(OTHER, age_ms=LEASE_MS), Step.TAKE),
    ],
)
def test_each_thing_the_chain_may_say(reply, step):
    verdict = decide(reply, OURS, 5)
    assert verdict.step is step
    assert bool(verdict.detail) is (step in (Step.WAIT, Step.STOP_TWIN, Step.STOP_RETIRED))
    assert "\n" not in verdict.detail
    assert len(verdict.detail) <= 200


def test_the_wait_says_who_and_how_long():
    detail = decide(known(OTHER, age_ms=LEASE_MS - 1500), OURS, 5).detail
    assert OTHER.hex()[:16] in detail
    assert "2 s" in detail
