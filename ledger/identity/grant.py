"""Grants: the foundation lets a manufacturer certify units; the manufacturer certifies a unit's node.

A grant is canonical MessagePack and one Ed25519 signature, below 400 bytes: it fits a QR code. Its id
leaves the signature out, as a transaction's does.
"""

import enum
from typing import Annotated

import msgspec
from msgspec import Meta

from ledger.codec.canonical import Decoder, encode
from ledger.crypto import domains
from ledger.errors import CodecError
from ledger.identity.refusals import RefusalCode, Refused
from ledger.params import READING_SALT_BYTES
from ledger.types.primitives import Address, Counter, Hash, Signature

GRANT_BYTES_MAX = 2 * 1024  # a manufacturer with every model it may name
MODELS_MAX = 16
SERIAL_BYTES = READING_SALT_BYTES  # random: two grants of one issuer never share an id

ModelName = Annotated[str, Meta(min_length=1, max_length=48, pattern=r"^[a-z0-9][a-z0-9._-]*\Z")]


class Role(enum.IntEnum):
    """What a node does for the chain."""

    AGENT = 1  # votes
    FULL = 2  # keeps and checks everything
    LIGHT = 3  # headers and certificates


class GrantLevel(enum.IntEnum):
    """Where in the chain of grants one stands."""

    MANUFACTURER = 1  # issued by the foundation; its subject certifies units
    UNIT = 2  # issued by a manufacturer; its subject is a node id


class Grant(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What an issuer signs. Valid from `not_before_ms` until just before `not_after_ms` (Unix ms).

    A manufacturer's grant names every role and model that it may certify, a unit's grant its own.
    """

    chain_id: Hash
    level: GrantLevel
    issuer: Address
    subject: Address
    serial: Annotated[bytes, Meta(min_length=SERIAL_BYTES, max_length=SERIAL_BYTES)]
    not_before_ms: Counter
    not_after_ms: Counter
    roles: Annotated[tuple[Role, ...], Meta(min_length=1, max_length=len(Role))]
    models: Annotated[tuple[ModelName, ...], Meta(min_length=1, max_length=MODELS_MAX)]


class SignedGrant(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A grant's canonical bytes and its issuer's signature over `domains.grant_message` of them."""

    payload: Annotated[bytes, Meta(max_length=GRANT_BYTES_MAX)]
    signature: Signature


_signed = Decoder(SignedGrant)
_payloads = Decoder(Grant)


def build_signed_grant(payload: bytes, signature: bytes) -> bytes:
    """Return the canonical bytes that a unit carries and shows."""
    return encode(SignedGrant(payload, signature))


def decode_grant(raw: bytes) -> tuple[Grant, SignedGrant] | Refused:
    """Return a grant in its one canonical form, with its envelope; its signature is not judged."""
    try:
        envelope = _signed.decode(raw)
        grant = _payloads.decode(envelope.payload)
    except CodecError as error:
        return Refused(RefusalCode.MALFORMED, f"grant {error}")
    problem = find_problem(grant)
    return (grant, envelope) if problem is None else Refused(RefusalCode.MALFORMED, problem)


def find_problem(grant: Grant) -> str | None:
    """Return what makes a grant meaningless whoever signs it, or None."""
    if grant.not_after_ms <= grant.not_before_ms:
        return "the grant ends before it begins"
    if list(grant.roles) != sorted(set(grant.roles)):
        return "the grant's roles are not in order, each once"
    if list(grant.models) != sorted(set(grant.models)):
        return "the grant's models are not in order, each once"
    if grant.issuer == grant.subject:
        return "the grant's issuer is its own subject"
    if grant.level is GrantLevel.UNIT and len(grant.models) != 1:
        return "a unit's grant names exactly one model"
    return None


def compute_grant_id(envelope: SignedGrant) -> bytes:
    """Return the 32-byte id under which a grant is revoked."""
    return domains.grant_id(envelope.payload)
