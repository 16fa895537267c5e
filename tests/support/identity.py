"""A foundation, a manufacturer and nodes with grants, and what a chain says about them: for tests."""

from dataclasses import dataclass, field

import msgspec

from ledger.codec import canonical
from ledger.crypto import domains, ed25519
from ledger.crypto.hashing import sha256
from ledger.identity.facts import LeaseFacts
from ledger.identity.grant import Grant, GrantLevel, Role, build_signed_grant
from ledger.identity.handshake import OwnSide
from ledger.identity.messages import NO_CHANNEL, Claims
from ledger.types.reading import ClockStatus
from tests.support.transactions import CHAIN_ID, Person

DAY_MS = 24 * 3_600_000
NOW_MS = 1_800_000_000_000
FOUNDATION, MAKER, UNIT, OTHER = (
    Person(name) for name in ("foundation", "maker", "unit", "other unit")
)
MEASUREMENT = sha256(b"the software that is listed")
ALL_ROLES = (Role.AGENT, Role.FULL, Role.LIGHT)

MAKER_GRANT = Grant(
    chain_id=CHAIN_ID,
    level=GrantLevel.MANUFACTURER,
    issuer=FOUNDATION.address,
    subject=MAKER.address,
    serial=bytes(15) + b"\x01",
    not_before_ms=NOW_MS - 100 * DAY_MS,
    not_after_ms=NOW_MS + 1000 * DAY_MS,
    roles=ALL_ROLES,
    models=("gw-1", "gw-2"),
)


def unit_grant(node: Person, **changes: object) -> Grant:
    """Return the grant of a unit, `changes` apart."""
    usual = Grant(
        chain_id=CHAIN_ID,
        level=GrantLevel.UNIT,
        issuer=MAKER.address,
        subject=node.address,
        serial=bytes(15) + b"\x02",
        not_before_ms=NOW_MS - 10 * DAY_MS,
        not_after_ms=NOW_MS + 365 * DAY_MS,
        roles=(Role.AGENT, Role.FULL),
        models=("gw-1",),
    )
    return msgspec.structs.replace(usual, **changes)


def sign_grant(grant: Grant, issuer: Person) -> bytes:
    """Return the raw bytes of a signed grant."""
    payload = canonical.encode(grant)
    return build_signed_grant(payload, ed25519.sign(issuer.seed, domains.grant_message(payload)))


def grant_id_of(grant: Grant) -> bytes:
    return domains.grant_id(canonical.encode(grant))


def grants_of(node: Person) -> tuple[bytes, bytes]:
    """Return the two grants that a unit shows."""
    return sign_grant(MAKER_GRANT, FOUNDATION), sign_grant(unit_grant(node), MAKER)


@dataclass
class Facts:
    """`ledger.identity.facts.IdentityFacts` in plain sets."""

    chain_id: bytes = CHAIN_ID
    foundation: bytes | None = FOUNDATION.address
    revoked: set[bytes] = field(default_factory=set)
    retired: set[bytes] = field(default_factory=set)
    listed: set[bytes] = field(default_factory=lambda: {MEASUREMENT})
    leases: dict[bytes, LeaseFacts] = field(default_factory=dict)

    def is_revoked(self, grant_id: bytes) -> bool:
        return grant_id in self.revoked

    def is_retired(self, node_id: bytes) -> bool:
        return node_id in self.retired

    def is_listed(self, measurement: bytes) -> bool:
        return measurement in self.listed

    def lease(self, node_id: bytes) -> LeaseFacts | None:
        return self.leases.get(node_id)


def instance_of(node: Person) -> bytes:
    return sha256(b"instance" + node.address)


def own_side(node: Person, *, nonce: bytes | None = None, **changes: object) -> OwnSide:
    """Return what a node says of itself, with a nonce of its own; `changes` are of its claims."""
    usual = Claims(
        chain_id=CHAIN_ID,
        node_id=node.address,
        role=Role.AGENT,
        channel=NO_CHANNEL,
        instance=instance_of(node),
        measurement=MEASUREMENT,
        clock=ClockStatus.SYNCHRONISED,
        grants=grants_of(node),
    )
    claims = msgspec.structs.replace(usual, **changes)
    return OwnSide(claims, sha256(b"nonce" + node.address) if nonce is None else nonce)


def sign_token(node: Person, token: bytes) -> bytes:
    """Return a node's signature over a session token, as its SmartAgent gives it."""
    return ed25519.sign(node.seed, domains.session_token_message(token))
