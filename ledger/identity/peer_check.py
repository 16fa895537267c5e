"""What both sides of a handshake check of each other: claims, signature, lease, grants, in this order."""

from dataclasses import dataclass

from ledger.codec.canonical import encode
from ledger.crypto.domains import session_token_message
from ledger.crypto.ed25519 import verify_strict
from ledger.crypto.hashing import sha256
from ledger.identity.facts import IdentityFacts, Moment
from ledger.identity.grant import Role
from ledger.identity.grant_check import VerifiedUnit, check_grants
from ledger.identity.messages import NO_INSTANCE, Claims
from ledger.identity.refusals import PeerFlag, RefusalCode, Refused
from ledger.identity.session_token import SessionToken, Side
from ledger.types.reading import ClockStatus

CHAIN_STILL_MS = 120_000  # four blocks of a chain without work: then it stands still


@dataclass(frozen=True, slots=True)
class AcceptedPeer:
    """Who is at the other end. `unit` is None in an open network."""

    node_id: bytes
    role: Role
    instance: bytes
    unit: VerifiedUnit | None
    flags: tuple[PeerFlag, ...]


@dataclass(frozen=True, slots=True)
class Party:
    """One side of a handshake as a token names it."""

    node_id: bytes
    role: Role
    nonce: bytes


@dataclass(frozen=True, slots=True)
class Judging:
    """The time of a judgement, and whether grants count whose validity it cannot tell."""

    now: Moment
    allows_untrusted_clock: bool


def build_token(
    signer: Claims, signer_nonce: bytes, side: Side, peer: Party, heard: bytes
) -> bytes:
    """Return the canonical session token of `signer`, who heard `heard` from `peer`."""
    return encode(
        SessionToken(
            chain_id=signer.chain_id,
            side=side,
            signer=signer.node_id,
            signer_role=signer.role,
            signer_nonce=signer_nonce,
            peer=peer.node_id,
            peer_role=peer.role,
            peer_nonce=peer.nonce,
            channel=signer.channel,
            claims_hash=sha256(encode(signer)),
            heard_hash=sha256(heard),
        )
    )


def check_stranger(chain_id: bytes, node_id: bytes, own: Claims) -> Refused | None:
    """Return why somebody who names this chain and node is nobody to talk to, or None."""
    if chain_id != own.chain_id:
        detail = f"the peer is on chain {chain_id.hex()[:16]}, we are on {own.chain_id.hex()[:16]}"
        return Refused(RefusalCode.WRONG_CHAIN, detail)
    if node_id == own.node_id:
        return Refused(RefusalCode.CLONED, "the peer calls itself by our own node id")
    return None


def check_claims(claims: Claims, own: Claims) -> Refused | None:
    """Return what in a peer's claims ends the handshake before its signature is looked at."""
    refused = check_stranger(claims.chain_id, claims.node_id, own)
    if refused is None and claims.channel != own.channel:
        return Refused(RefusalCode.WRONG_CHANNEL, "the peer sees another TLS channel: a relay?")
    return refused


def accept_peer(
    claims: Claims, signed: bytes, signature: bytes, facts: IdentityFacts, judging: Judging
) -> AcceptedPeer | Refused:
    """Return the peer that signed the token `signed`, or the first check that it fails."""
    node = claims.node_id
    if not verify_strict(node, session_token_message(signed), signature):
        return Refused(RefusalCode.BAD_SIGNATURE, f"not signed by node {node.hex()[:16]}")
    if facts.is_retired(node):
        return Refused(RefusalCode.RETIRED, f"node {node.hex()[:16]} was retired for good")
    is_leased = _is_leased(claims, facts, judging.now)
    if isinstance(is_leased, Refused):
        return is_leased
    unit = None
    if facts.foundation is not None:
        judged = check_grants(
            claims.grants,
            node_id=node,
            role=claims.role,
            facts=facts,
            now=judging.now,
            allows_untrusted_clock=judging.allows_untrusted_clock,
        )
        if isinstance(judged, Refused):
            return judged
        unit = judged
    return AcceptedPeer(
        node, claims.role, claims.instance, unit, _flags(claims, facts, unit, is_leased=is_leased)
    )


def judge_again(peer: AcceptedPeer, facts: IdentityFacts, now: Moment) -> Refused | None:
    """Tell why a peer that is connected would not be accepted any more, from what the chain says now.

    Leases are not judged again: they change hands by rights when an instance ends.
    """
    node, unit = peer.node_id, peer.unit
    if facts.is_retired(node):
        return Refused(RefusalCode.RETIRED, f"node {node.hex()[:16]} was retired for good")
    if unit is None:
        return None
    for grant_id in unit.grant_ids:
        if facts.is_revoked(grant_id):
            return Refused(RefusalCode.REVOKED, f"its grant {grant_id.hex()[:16]} is revoked")
    if now.time_ms >= unit.not_after_ms:
        return Refused(RefusalCode.EXPIRED, "its grant has expired")
    return None


def _is_leased(claims: Claims, facts: IdentityFacts, now: Moment) -> bool | Refused:
    """Tell whether the peer holds its lease; refuse it where another instance certainly does.

    A chain that stands still, or a clock that cannot tell, must not keep all nodes apart that a power cut
    made anew: they meet with a flag, and the chain goes on to judge their leases.
    """
    lease = facts.lease(claims.node_id)
    if lease is None or now.time_ms >= lease.alive_until_ms:
        return False
    if claims.instance == lease.instance:
        return True
    if not now.is_trusted or now.time_ms - lease.known_at_ms > CHAIN_STILL_MS:
        return False
    holder = lease.instance.hex()[:16]
    shown = "none" if claims.instance == NO_INSTANCE else claims.instance.hex()[:16]
    return Refused(
        RefusalCode.CLONED, f"instance {holder} holds this node's lease, the peer's is {shown}"
    )


def _flags(
    claims: Claims, facts: IdentityFacts, unit: VerifiedUnit | None, *, is_leased: bool
) -> tuple[PeerFlag, ...]:
    flags = {
        PeerFlag.SOFTWARE_NOT_LISTED: not facts.is_listed(claims.measurement),
        PeerFlag.NO_LEASE: not is_leased,
        PeerFlag.CLOCK_UNSYNCHRONISED: claims.clock is not ClockStatus.SYNCHRONISED,
        PeerFlag.VALIDITY_NOT_JUDGED: unit is not None and not unit.is_time_judged,
    }
    return tuple(flag for flag, is_raised in flags.items() if is_raised)
