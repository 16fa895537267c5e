"""Transaction bodies about identities: leases, owners, retirement, grants, listed software."""

import enum
from typing import Annotated

import msgspec
from msgspec import Meta

from ledger.types.primitives import Address, Counter, Hash

SIGNED_GRANT_BYTES_MAX = 2 * 1024 + 128  # a grant of the largest kind in its envelope
NOTE_LENGTH_MAX = 200  # characters that every node stores for ever

Note = Annotated[str, Meta(max_length=NOTE_LENGTH_MAX)]


class RevocationCause(enum.IntEnum):
    """Why a grant is taken back."""

    KEY_COMPROMISED = 1
    DEVICE_STOLEN = 2
    CEASED = 3  # the unit or the manufacturer is no more
    DEFECT = 4  # it measures or behaves wrongly
    BREACH = 5  # of what the grant was given for


class _Body(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    pass


class RenewLease(_Body, frozen=True, tag=40):
    """Take or keep the lease of an identity for one running instance. The sender is a metering key.

    `renewal` grows with every renewal by an instance, so that two twins of it cannot both renew.
    """

    instance: Hash
    renewal: Counter


class NameOwner(_Body, frozen=True, tag=41):
    """Name the account that may retire a node. First by the node itself, then by its owner alone."""

    node: Address
    owner: Address


class RetireNode(_Body, frozen=True, tag=42):
    """Give up a node's identity for ever; `successor` tells readers which node replaces it."""

    node: Address
    successor: Address | None


class RevokeGrant(_Body, frozen=True, tag=43):
    """Take a grant back. The sender is its issuer or the foundation."""

    grant: Annotated[bytes, Meta(max_length=SIGNED_GRANT_BYTES_MAX)]
    cause: RevocationCause
    note: Note


class AppealRevocation(_Body, frozen=True, tag=44):
    """Object to a revocation, once. The sender is the revoked grant's subject."""

    grant_id: Hash
    statement: Note


class DecideAppeal(_Body, frozen=True, tag=45):
    """Close an appeal. The sender is the foundation."""

    grant_id: Hash
    is_reinstated: bool
    note: Note


class ListSoftware(_Body, frozen=True, tag=46):
    """Put a software measurement on the chain's list, or take it off. The sender is the foundation."""

    measurement: Hash
    label: Annotated[str, Meta(max_length=64)]
    is_listed: bool


IdentityBody = (
    RenewLease
    | NameOwner
    | RetireNode
    | RevokeGrant
    | AppealRevocation
    | DecideAppeal
    | ListSoftware
)
