"""Requests about the node's identity: proofs for its registration, session tokens, its lease."""

import enum
from typing import Annotated

import msgspec
from msgspec import Meta

from ledger.identity.session_token import SESSION_TOKEN_BYTES_MAX
from ledger.types.primitives import Counter, Hash, Signature


class AskProofs(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="prove"
):
    """Ask for what lets this node, and no other, register the agent's keys. Answer: `Proofs`."""


class SignSession(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="session"
):
    """Sign a canonical `SessionToken` with the node key. Answer: `Signed`."""

    payload: Annotated[bytes, Meta(max_length=SESSION_TOKEN_BYTES_MAX)]


class AskInstance(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="instance"
):
    """Ask which running instance of the identity this is. Answer: `RunningInstance`."""


class LeaseStanding(enum.Enum):
    """What the chain says of this instance. Whoever does not hold the identity signs nothing with it."""

    HELD = "held"
    TAKEN = "taken"  # another instance holds it
    TWIN = "twin"  # this instance runs twice
    RETIRED = "retired"


class ReportLease(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="lease"
):
    """The gateway says what the chain says of this instance. Answer: `RunningInstance`."""

    standing: LeaseStanding
    detail: Annotated[str, Meta(max_length=200)]


class Proofs(msgspec.Struct, frozen=True, array_like=True, tag="proofs"):
    """The consensus and the metering key's signatures over `domains.possession_message`."""

    consensus: Signature
    metering: Signature


class RunningInstance(msgspec.Struct, frozen=True, array_like=True, tag="running-instance"):
    """The instance's name, and the newest renewal that was signed for it."""

    instance: Hash
    renewal: Counter
    standing: str


IdentityRequest = AskProofs | SignSession | AskInstance | ReportLease
IdentityAnswer = Proofs | RunningInstance
