"""Inclusion proofs that say of each sibling on which side it stands.

A header fixes a Merkle root but not how many leaves are under it, so a stated position and count
could be changed without breaking an RFC 9162 proof. With sides nothing is stated that the root does
not fix; the leaf and node prefixes of RFC 9162 section 2.1.1 keep such proofs sound.
"""

from collections.abc import Sequence

from ledger.codec.merkle import leaf_hash, node_hash
from ledger.errors import CodecError
from ledger.params import HASH_BYTES

SidedPath = tuple[tuple[str, bytes], ...]

_SIDES = ("left", "right")


def compute_sided_path(position: int, count: int, path: Sequence[bytes]) -> SidedPath:
    """Return the RFC 9162 audit path of `position` among `count` leaves with its sides."""
    assert 0 <= position < count
    sided = []
    siblings = iter(path)
    index, last = position, count - 1
    while last:
        if index & 1:
            sided.append(("left", next(siblings)))
        elif index < last:
            sided.append(("right", next(siblings)))
        index >>= 1
        last >>= 1
    assert next(siblings, None) is None, "the path is longer than the tree is high"
    return tuple(sided)


def is_included(leaf: bytes, path: SidedPath, root: bytes) -> bool:
    """Tell whether `leaf` stands in the tree with this root."""
    computed = leaf_hash(leaf)
    for side, sibling in path:
        computed = node_hash(sibling, computed) if side == "left" else node_hash(computed, sibling)
    return computed == root


def format_sided_path(path: SidedPath) -> tuple[str, ...]:
    """Return each step as text: `left:` or `right:` and the sibling's hexadecimal."""
    return tuple(f"{side}:{sibling.hex()}" for side, sibling in path)


def parse_sided_path(steps: Sequence[str]) -> SidedPath:
    """Return the path of its text; raise `CodecError` for anything else."""
    return tuple(_parse_step(step) for step in steps)


def _parse_step(step: str) -> tuple[str, bytes]:
    side, _, digits = step.partition(":")
    try:
        sibling = bytes.fromhex(digits)
    except ValueError:
        sibling = b""
    if side not in _SIDES or len(sibling) != HASH_BYTES:
        raise CodecError(
            f"path step {step[:20]!r} is not left: or right: and 64 hexadecimal digits"
        )
    return side, sibling
