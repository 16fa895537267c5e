"""Judging the grants that a node shows: foundation -> manufacturer -> unit, each link in turn.

Rule 1: exactly two grants, the foundation's for the manufacturer and the manufacturer's for this node.
Rule 2: each is for this chain and signed by its issuer; the first issuer is the genesis' foundation.
Rule 3: a unit's roles and model are among its manufacturer's, its validity within the manufacturer's.
Rule 4: neither is revoked; revoking a manufacturer's grant ends all units below it.
Rule 5: what cannot be judged is refused: without a trusted clock a grant that has not certainly expired
is `clock-untrusted`, unless the caller asked for the flag instead (to fetch the chain, and the time, at all).

The order of the checks is fixed: form, chain, issuer, signature, constraints, revocation, time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.crypto import domains
from ledger.crypto.ed25519 import verify_strict
from ledger.identity.facts import IdentityFacts, Moment
from ledger.identity.grant import Grant, GrantLevel, Role, decode_grant
from ledger.identity.refusals import RefusalCode, Refused

GRANTS_IN_CHAIN = 2


@dataclass(frozen=True, slots=True)
class _Link:
    """One grant whose form, chain, issuer and signature hold."""

    name: str
    id: bytes
    grant: Grant


@dataclass(frozen=True, slots=True)
class VerifiedUnit:
    """A node whose grants hold: who made it, what it is and until when that stands.

    `grant_ids` are the manufacturer's and the unit's: they may be revoked later.
    """

    manufacturer: bytes
    model: str
    not_after_ms: int
    is_time_judged: bool
    grant_ids: tuple[bytes, bytes]


def check_grants(
    chain: Sequence[bytes],
    *,
    node_id: bytes,
    role: Role,
    facts: IdentityFacts,
    now: Moment,
    allows_untrusted_clock: bool = False,
) -> VerifiedUnit | Refused:
    """Return what the grants say of `node_id` in `role`, or the first rule that they break."""
    assert facts.foundation is not None, "an open network judges no grants"
    if len(chain) != GRANTS_IN_CHAIN:
        return Refused(
            RefusalCode.UNKNOWN_ISSUER if not chain else RefusalCode.MALFORMED,
            f"{len(chain)} grants instead of {GRANTS_IN_CHAIN}: the manufacturer's and the unit's",
        )
    maker = _check_link(chain[0], GrantLevel.MANUFACTURER, facts.foundation, facts)
    if isinstance(maker, Refused):
        return maker
    unit = _check_link(chain[1], GrantLevel.UNIT, maker.grant.subject, facts)
    if isinstance(unit, Refused):
        return unit
    refused = (
        _check_constraints(maker.grant, unit.grant, node_id, role)
        or _check_revocation((maker, unit), facts)
        or _check_time((maker, unit), now, allows_untrusted_clock=allows_untrusted_clock)
    )
    if refused is not None:
        return refused
    return VerifiedUnit(
        manufacturer=maker.grant.subject,
        model=unit.grant.models[0],
        not_after_ms=unit.grant.not_after_ms,
        is_time_judged=now.is_trusted,
        grant_ids=(maker.id, unit.id),
    )


def _check_link(
    raw: bytes, level: GrantLevel, issuer: bytes, facts: IdentityFacts
) -> _Link | Refused:
    decoded = decode_grant(raw)
    if isinstance(decoded, Refused):
        return decoded
    grant, envelope = decoded
    name = f"the {level.name.lower()}'s grant"
    if grant.level is not level:
        return Refused(RefusalCode.MALFORMED, f"a grant of another level stands for {name}")
    if grant.chain_id != facts.chain_id:
        return Refused(RefusalCode.WRONG_CHAIN, f"{name} is for chain {grant.chain_id.hex()[:16]}")
    if grant.issuer != issuer:
        return Refused(RefusalCode.UNKNOWN_ISSUER, f"{name} is issued by {grant.issuer.hex()[:16]}")
    if not verify_strict(issuer, domains.grant_message(envelope.payload), envelope.signature):
        return Refused(RefusalCode.BAD_SIGNATURE, f"{name} is not signed by its issuer")
    return _Link(name, domains.grant_id(envelope.payload), grant)


def _check_constraints(maker: Grant, unit: Grant, node_id: bytes, role: Role) -> Refused | None:
    problem = None
    if unit.subject != node_id:
        problem = f"the unit's grant is for node {unit.subject.hex()[:16]}"
    elif role not in unit.roles:
        problem = f"the unit's grant does not allow the role {role.name.lower()}"
    elif not set(unit.roles) <= set(maker.roles):
        problem = "the unit's roles are not all the manufacturer's to give"
    elif unit.models[0] not in maker.models:
        problem = f"the manufacturer may not certify model {unit.models[0]}"
    elif unit.not_before_ms < maker.not_before_ms or unit.not_after_ms > maker.not_after_ms:
        problem = "the unit's validity is not within its manufacturer's"
    return None if problem is None else Refused(RefusalCode.NOT_PERMITTED, problem)


def _check_revocation(links: Sequence[_Link], facts: IdentityFacts) -> Refused | None:
    for link in links:
        if facts.is_revoked(link.id):
            return Refused(RefusalCode.REVOKED, f"{link.name} {link.id.hex()[:16]} is revoked")
    return None


def _check_time(
    links: Sequence[_Link], now: Moment, *, allows_untrusted_clock: bool
) -> Refused | None:
    for link in links:
        if now.time_ms >= link.grant.not_after_ms:
            return Refused(RefusalCode.EXPIRED, f"{link.name} has expired")
        if now.is_trusted and now.time_ms < link.grant.not_before_ms:
            return Refused(RefusalCode.NOT_YET_VALID, f"{link.name} is not valid yet")
    if now.is_trusted or allows_untrusted_clock:
        return None
    return Refused(
        RefusalCode.CLOCK_UNTRUSTED, "without a trusted clock the validity of grants is unknown"
    )
