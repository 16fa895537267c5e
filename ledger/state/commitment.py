"""The state root: one hash over every key and value, whose cost follows the keys that changed.

    leaf of a key   SHA-256(key) || SHA-256(value), 64 bytes
    bucket          SHA-256(0x00 || its leaves, sorted), one of 2**16 by the first 16 bits of the leaf
    node            SHA-256(0x01 || left || right), a complete binary tree of depth 16 over the buckets

The prefixes keep a bucket from being taken for a node. A proof is the bucket's leaves and the 16
siblings above it; it shows that a key has a value, or that no value stands under it.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Annotated

import msgspec
from msgspec import Meta

from ledger.types.primitives import Hash

DEPTH = 16
BUCKETS = 1 << DEPTH
_ROOT = 1  # nodes are numbered as in a heap: node i has the children 2i and 2i + 1
_LEAF_BYTES = 64

_sha256 = hashlib.sha256


class StateProof(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A bucket's leaves, joined, and the sibling hashes from the bucket up to the root."""

    leaves: bytes
    path: Annotated[tuple[Hash, ...], Meta(min_length=DEPTH, max_length=DEPTH)]


def _bucket_hash(leaves: bytes) -> bytes:
    return _sha256(b"\x00" + leaves).digest()


def _node_hash(left: bytes, right: bytes) -> bytes:
    return _sha256(b"\x01" + left + right).digest()


def _bucket_of(hash_: bytes) -> int:
    return hash_[0] << 8 | hash_[1]


def _empty_nodes() -> list[bytes]:
    level = [_bucket_hash(b"")] * BUCKETS
    levels = [level]
    while len(level) > 1:
        level = [_node_hash(level[0], level[0])] * (len(level) // 2)
        levels.append(level)
    return [b"", *(node for level in reversed(levels) for node in level)]


def _with_value(leaves: list[bytes], key_hash: bytes, value: bytes | None) -> None:
    """Insert, replace or remove one leaf of a sorted bucket, in place."""
    at = bisect_left(leaves, key_hash)
    is_present = at < len(leaves) and leaves[at][:32] == key_hash
    if value is None:
        if is_present:
            del leaves[at]
        return
    leaf = key_hash + _sha256(value).digest()
    if is_present:
        leaves[at] = leaf
    else:
        leaves.insert(at, leaf)


class StateTree:
    """The commitment to a whole state, kept in memory: 64 bytes a key and 4 MiB of nodes."""

    def __init__(self) -> None:
        self._nodes = _empty_nodes()
        self._buckets: dict[int, list[bytes]] = {}

    @classmethod
    def from_items(cls, items: Iterable[tuple[bytes, bytes]]) -> "StateTree":
        """Return the tree over all keys and values of a state."""
        tree = cls()
        for key, value in items:
            key_hash = _sha256(key).digest()
            _with_value(tree._buckets.setdefault(_bucket_of(key_hash), []), key_hash, value)
        tree._rehash(tree._buckets)
        return tree

    @property
    def root(self) -> bytes:
        """The 32-byte state root."""
        return self._nodes[_ROOT]

    def root_after(self, writes: Mapping[bytes, bytes | None]) -> bytes:
        """Return the root that `apply(writes)` would lead to; the tree ends as it began."""
        buckets = self._changed_buckets(writes)
        before = [(index, self._nodes[index]) for index in _path_indexes(buckets)]
        self._rehash(buckets)
        root = self.root
        for index, node in before:
            self._nodes[index] = node
        return root

    def apply(self, writes: Mapping[bytes, bytes | None]) -> bytes:
        """Take over changed values (None removes a key) and return the new root."""
        buckets = self._changed_buckets(writes)
        self._rehash(buckets)
        for bucket, leaves in buckets.items():
            if leaves:
                self._buckets[bucket] = leaves
            else:
                self._buckets.pop(bucket, None)
        return self.root

    def prove(self, key: bytes) -> StateProof:
        """Return the proof of what stands under `key`, or that nothing does."""
        bucket = _bucket_of(_sha256(key).digest())
        index = BUCKETS + bucket
        path = tuple(self._nodes[index >> level ^ 1] for level in range(DEPTH))
        return StateProof(leaves=b"".join(self._buckets.get(bucket, ())), path=path)

    def _changed_buckets(self, writes: Mapping[bytes, bytes | None]) -> dict[int, list[bytes]]:
        changed: dict[int, list[bytes]] = {}
        for key, value in writes.items():
            key_hash = _sha256(key).digest()
            bucket = _bucket_of(key_hash)
            leaves = changed.get(bucket)
            if leaves is None:
                leaves = changed[bucket] = self._buckets.get(bucket, []).copy()
            _with_value(leaves, key_hash, value)
        return changed

    def _rehash(self, buckets: Mapping[int, list[bytes]]) -> None:
        """Compute the changed buckets' hashes and every node above them, each once."""
        nodes = self._nodes
        for bucket, leaves in buckets.items():
            nodes[BUCKETS + bucket] = _bucket_hash(b"".join(leaves))
        level = {BUCKETS + bucket for bucket in buckets}
        for _ in range(DEPTH):
            level = {index >> 1 for index in level}
            for index in level:  # `_node_hash` written out: this line is where the time goes
                nodes[index] = _sha256(b"\x01" + nodes[2 * index] + nodes[2 * index + 1]).digest()


def _path_indexes(buckets: Iterable[int]) -> Iterator[int]:
    """Yield the number of every bucket's node and of every node above one."""
    level = {BUCKETS + bucket for bucket in buckets}
    while level:
        yield from level
        level = {index >> 1 for index in level if index != _ROOT}


def verify_state_proof(root: bytes, key: bytes, value: bytes | None, proof: StateProof) -> bool:
    """Tell whether the state with this `root` holds `value` under `key` (None: holds nothing)."""
    key_hash = _sha256(key).digest()
    bucket = _bucket_of(key_hash)
    leaves = _split_leaves(proof.leaves)
    if leaves is None or any(_bucket_of(leaf) != bucket for leaf in leaves):
        return False
    found = [leaf[32:] for leaf in leaves if leaf[:32] == key_hash]
    if found != ([] if value is None else [_sha256(value).digest()]):
        return False
    return _fold(bucket, _bucket_hash(proof.leaves), proof.path) == root


def _split_leaves(joined: bytes) -> list[bytes] | None:
    """Return the leaves, or None unless they are whole and their keys strictly ascend."""
    if len(joined) % _LEAF_BYTES:
        return None
    leaves = [joined[i : i + _LEAF_BYTES] for i in range(0, len(joined), _LEAF_BYTES)]
    keys = [leaf[:32] for leaf in leaves]
    is_ascending = all(first < second for first, second in pairwise(keys))
    return leaves if is_ascending else None


def _fold(bucket: int, computed: bytes, path: tuple[bytes, ...]) -> bytes | None:
    """Return the root that a bucket's hash and its siblings lead to; None for a wrong length."""
    if len(path) != DEPTH:
        return None
    for level, sibling in enumerate(path):
        if bucket >> level & 1:
            computed = _node_hash(sibling, computed)
        else:
            computed = _node_hash(computed, sibling)
    return computed
