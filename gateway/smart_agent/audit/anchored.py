"""Heads of the audit log in the chain: what is anchored, and whether a log still holds it. Pure.

The log counts as a device of its own whose readings are statements of its head. So an anchor is the ordinary
one: its root is the RFC 9162 root over one leaf, the statement's canonical bytes.
"""

from collections.abc import Sequence, Set as AbstractSet
from dataclasses import dataclass

import msgspec

from gateway.smart_agent.audit.entry import Head
from ledger.codec import canonical
from ledger.codec.merkle import leaf_hash
from ledger.crypto.hashing import sha256
from ledger.types.primitives import Address, Counter, Hash

_PREFIX = b"ssp/audit-log/1\0"

AUDIT_PROFILE = sha256(_PREFIX)  # stands where a device profile's hash stands


class HeadStatement(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The audit log of `node` had this entry."""

    node: Address
    sequence: Counter
    hash: Hash


@dataclass(frozen=True, slots=True)
class AnchoredHead:
    """An anchor of the log that is final in block `height`."""

    height: int
    root: bytes


def audit_device(node_id: bytes) -> bytes:
    """Return the 32-byte device id under which a node's audit log is anchored."""
    return sha256(_PREFIX + node_id)


def head_root(node_id: bytes, head: Head) -> bytes:
    """Return the root of an anchor that states `head`."""
    return leaf_hash(canonical.encode(HeadStatement(node_id, head.sequence, head.hash)))


def find_missing(
    anchored: Sequence[AnchoredHead], held: AbstractSet[bytes], *, is_rotated: bool
) -> AnchoredHead | None:
    """Return the oldest anchored head that a log should hold and does not.

    `anchored` is oldest first, `held` the roots that the log's entries give. Of a rotated log, heads
    before the first that it holds went with their entries.
    """
    expected = list(anchored)
    if is_rotated:
        first_held = next((i for i, one in enumerate(expected) if one.root in held), None)
        expected = expected[-1:] if first_held is None else expected[first_held:]
    return next((one for one in expected if one.root not in held), None)
