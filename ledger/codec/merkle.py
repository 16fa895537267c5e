"""Merkle trees as in RFC 9162 section 2.1: SHA-256, 0x00 before leaves, 0x01 before nodes.

The prefixes keep a leaf from ever being mistaken for a node (second pre-images). Proofs are checked
with the exact algorithm of section 2.1.3.2, which consumes index and size to the last bit, so a
proof that is too long, too short or for another position fails.
"""

import hashlib
from collections.abc import Sequence

EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """Return the 32-byte hash of one leaf's bytes (RFC 9162 2.1.1)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the 32-byte hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def _levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    sha256 = hashlib.sha256  # `leaf_hash` and `node_hash` written out: a block has thousands
    level = [sha256(b"\x00" + leaf).digest() for leaf in leaves]
    levels = [level]
    while len(level) > 1:
        nodes = iter(level)
        pairs = zip(nodes, nodes, strict=False)
        paired = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
        if len(level) % 2:
            paired.append(level[-1])
        level = paired
        levels.append(level)
    return levels


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """Return the root over the leaves' bytes in order; the root of nothing is SHA-256 of nothing."""
    return _levels(leaves)[-1][0] if leaves else EMPTY_ROOT


def audit_paths(leaves: Sequence[bytes]) -> list[tuple[bytes, ...]]:
    """Return the audit path of every leaf, in order, computing each node once."""
    levels = _levels(leaves)[:-1]
    return [_path(levels, index) for index in range(len(leaves))]


def audit_path(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Return the sibling hashes from the leaf at `index` up to the root (RFC 9162 2.1.3.1)."""
    assert 0 <= index < len(leaves)
    return _path(_levels(leaves)[:-1], index)


def _path(levels: list[list[bytes]], index: int) -> tuple[bytes, ...]:
    path = []
    for level in levels:
        sibling = index ^ 1
        if sibling < len(level):
            path.append(level[sibling])
        index >>= 1
    return tuple(path)


def verify_inclusion(
    leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes
) -> bool:
    """Tell whether `leaf` stands at `index` of the tree with `size` leaves and this `root`.

    Follows RFC 9162 section 2.1.3.2 step by step.
    """
    if not 0 <= index < size:
        return False
    first, last = index, size - 1
    computed = leaf_hash(leaf)
    for sibling in path:
        if last == 0:
            return False
        if first & 1 or first == last:
            computed = node_hash(sibling, computed)
            while first and not first & 1:
                first >>= 1
                last >>= 1
        else:
            computed = node_hash(computed, sibling)
        first >>= 1
        last >>= 1
    return last == 0 and computed == root
