"""What a gateway does about its identity, from what the chain says of it. Pure.

Rule 1: nothing is anchored before the chain confirms that this instance holds the identity's lease.
Rule 2: a lease is renewed when a third of its time has gone; a free one is taken; one of another instance
is waited for, and the wait is told.
Rule 3: a renewal of our own instance that we did not sign means that it runs twice.
"""

import enum
from dataclasses import dataclass

from gateway.model.ledger_api import IdentityReply
from ledger.params import LEASE_MS

RENEWAL_MS = LEASE_MS // 3


class Step(enum.Enum):
    """What to do next."""

    HOLD = "hold"
    RENEW = "renew"
    TAKE = "take"
    REGISTER = "register"
    WAIT = "wait"
    STOP_TWIN = "stop-twin"
    STOP_RETIRED = "stop-retired"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The step, and the line that says why where it is a refusal."""

    step: Step
    detail: str = ""


def decide(known: IdentityReply, instance: bytes, renewal: int) -> Verdict:
    """Return what this instance, whose newest signed renewal is `renewal`, does now."""
    if known.retired_height:
        return Verdict(
            Step.STOP_RETIRED,
            f"this node was retired in block {known.retired_height}: a new identity is needed",
        )
    if not known.registered:
        return Verdict(Step.REGISTER)
    if known.lease_instance == instance.hex():
        if known.lease_renewal > renewal:
            return Verdict(Step.STOP_TWIN, twin_detail(instance))
        renew_from_ms = known.lease_until_ms - LEASE_MS + RENEWAL_MS
        return Verdict(Step.HOLD if known.time_ms < renew_from_ms else Step.RENEW)
    if not known.lease_instance or known.time_ms >= known.lease_until_ms:
        return Verdict(Step.TAKE)
    left_s = -(-(known.lease_until_ms - known.time_ms) // 1000)
    return Verdict(
        Step.WAIT,
        f"instance {known.lease_instance[:16]} holds this node's identity for {left_s} s more: is a copy"
        " of this card running? nothing is signed meanwhile",
    )


def twin_detail(instance: bytes) -> str:
    """Return the line for an instance that runs twice."""
    return (
        f"instance {instance.hex()[:16]} of this node's identity runs twice, as from a copied card: stop"
        " one of the two; where a backup was restored, stop this one and remove agent/instance"
    )
