"""The state root: one hash over every key and value, whose cost follows the keys that changed.

    leaf of a key   SHA-256(key) || SHA-256(value), 64 bytes
    bucket          SHA-256(0x00 || its leaves, sorted), one of 2**16 by the first 16 bits of the leaf
    node            SHA-256(0x01 || 16 children), a complete tree of four levels over the buckets

The prefixes keep a bucket from being taken for a node. A proof is the bucket's leaves and, for each
level, the 15 siblings; it shows that a key has a value, or that no value stands under it.
A key that changes costs two hashes for its leaf, one for its bucket and at most one on each of the four
levels. Sixteen children a node: four calls instead of sixteen, for a proof of 2 KiB instead of half of one.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Annotated

import msgspec
from msgspec import Meta

LEVELS = 4
FANOUT = 16
BUCKETS = FANOUT**LEVELS
_HASH = 32
_LEAF = 64
_CHILDREN = FANOUT * _HASH
_SIBLINGS = _CHILDREN - _HASH

_KEYS_REMEMBERED = 8_192  # their hashes: 2.5 MB, and the same accounts change again and again

_sha256 = hashlib.sha256


class StateProof(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A bucket's leaves, joined, and from the bucket upwards the 15 siblings of each level, joined."""

    leaves: bytes
    path: Annotated[
        tuple[Annotated[bytes, Meta(min_length=_SIBLINGS, max_length=_SIBLINGS)], ...],
        Meta(min_length=LEVELS, max_length=LEVELS),
    ]


@lru_cache(maxsize=_KEYS_REMEMBERED)
def _key_hash(key: bytes) -> bytes:
    return _sha256(key).digest()


def _bucket_hash(leaves: bytes) -> bytes:
    return _sha256(b"\x00" + leaves).digest()


def _node_hash(children: bytes | bytearray) -> bytes:
    return _sha256(b"\x01" + children).digest()


def _bucket_of(hash_: bytes) -> int:
    return hash_[0] << 8 | hash_[1]


def _find(leaves: bytes, key_hash: bytes) -> int:
    """Return the offset of the first leaf whose key is not below `key_hash`."""
    low, high = 0, len(leaves) // _LEAF
    while low < high:
        middle = (low + high) // 2
        start = middle * _LEAF
        if leaves[start : start + _HASH] < key_hash:
            low = middle + 1
        else:
            high = middle
    return low * _LEAF


def _with_value(leaves: bytes, key_hash: bytes, value: bytes | None) -> bytes:
    """Return a bucket's leaves with one inserted, replaced or removed."""
    at = leaves.find(key_hash)
    if value is not None and at % _LEAF == 0:  # the usual case: a key that has a value gets another
        return leaves[: at + _HASH] + _sha256(value).digest() + leaves[at + _LEAF :]
    at = _find(leaves, key_hash)
    end = at + _LEAF if leaves[at : at + _HASH] == key_hash else at
    leaf = b"" if value is None else key_hash + _sha256(value).digest()
    return leaves[:at] + leaf + leaves[end:]


@dataclass(frozen=True, slots=True)
class _Change:
    """What some writes make of the tree: new buckets, new nodes on each level, the new root."""

    buckets: dict[int, bytes]
    levels: tuple[dict[int, bytes], ...]
    root: bytes


class StateTree:
    """The commitment to a whole state, kept in memory: 64 bytes a key and 3 MiB of nodes."""

    def __init__(self) -> None:
        self._buckets = [b""] * BUCKETS
        # The nodes, each as its 16 children's hashes, joined; [0]: those whose children are buckets.
        self._levels: list[list[bytes]] = []
        self._prepared: tuple[Mapping[bytes, bytes | None], _Change] | None = None
        node = _bucket_hash(b"")
        for level in range(1, LEVELS + 1):
            children = node * FANOUT
            self._levels.append([children] * FANOUT ** (LEVELS - level))
            node = _node_hash(children)
        self.root = node

    @classmethod
    def from_items(cls, items: Iterable[tuple[bytes, bytes]]) -> "StateTree":
        """Return the tree over all keys and values of a state."""
        gathered: list[list[bytes] | None] = [None] * BUCKETS
        for key, value in items:
            key_hash = _sha256(key).digest()
            leaf = key_hash + _sha256(value).digest()
            bucket = gathered[_bucket_of(key_hash)]
            if bucket is None:
                gathered[_bucket_of(key_hash)] = [leaf]
            else:
                bucket.append(leaf)
        tree = cls()
        filled = {i: b"".join(sorted(leaves)) for i, leaves in enumerate(gathered) if leaves}
        tree._keep(tree._hash(filled))
        return tree

    def root_after(self, writes: Mapping[bytes, bytes | None]) -> bytes:
        """Return the root that `apply(writes)` would lead to; the tree ends as it began.

        An `apply` of the same mapping that follows uses what was computed here.
        """
        change = self._hash(self._changed_buckets(writes))
        self._prepared = (writes, change)
        return change.root

    def apply(self, writes: Mapping[bytes, bytes | None]) -> bytes:
        """Take over changed values (None removes a key) and return the new root."""
        prepared, self._prepared = self._prepared, None
        if prepared is not None and prepared[0] is writes:
            self._keep(prepared[1])
        else:
            self._keep(self._hash(self._changed_buckets(writes)))
        return self.root

    def prove(self, key: bytes) -> StateProof:
        """Return the proof of what stands under `key`, or that nothing does."""
        index = _bucket_of(_sha256(key).digest())
        leaves = self._buckets[index]
        path = []
        for nodes in self._levels:
            index, place = divmod(index, FANOUT)
            children = nodes[index]
            path.append(children[: place * _HASH] + children[(place + 1) * _HASH :])
        return StateProof(leaves, tuple(path))

    def _changed_buckets(self, writes: Mapping[bytes, bytes | None]) -> dict[int, bytes]:
        changed: dict[int, bytes] = {}
        buckets = self._buckets
        for key, value in writes.items():
            key_hash = _key_hash(key)
            bucket = key_hash[0] << 8 | key_hash[1]  # `_bucket_of` written out
            leaves = changed.get(bucket)
            if leaves is None:
                leaves = buckets[bucket]
            changed[bucket] = _with_value(leaves, key_hash, value)
        return changed

    def _hash(self, buckets: dict[int, bytes]) -> _Change:
        """Compute the hashes of these buckets and of every node above them, each once."""
        if not buckets:
            return _Change(buckets, (), self.root)
        sha256 = _sha256  # `_bucket_hash` and `_node_hash` written out: a block has thousands
        changed = {i: sha256(b"\x00" + leaves).digest() for i, leaves in buckets.items()}
        levels = []
        for nodes in self._levels:
            families: dict[int, bytes] = {}
            for index, hash_ in changed.items():
                parent, at = index >> 4, (index & 15) << 5
                children = families[parent] if parent in families else nodes[parent]
                families[parent] = children[:at] + hash_ + children[at + _HASH :]
            levels.append(families)
            changed = {i: sha256(b"\x01" + node).digest() for i, node in families.items()}
        return _Change(buckets, tuple(levels), changed[0])

    def _keep(self, change: _Change) -> None:
        self._prepared = None
        for index, leaves in change.buckets.items():
            self._buckets[index] = leaves
        for nodes, families in zip(self._levels, change.levels, strict=False):
            for index, children in families.items():
                nodes[index] = children
        self.root = change.root


def verify_state_proof(root: bytes, key: bytes, value: bytes | None, proof: StateProof) -> bool:
    """Tell whether the state with this `root` holds `value` under `key` (None: holds nothing)."""
    key_hash = _sha256(key).digest()
    bucket = _bucket_of(key_hash)
    leaves = _split_leaves(proof.leaves)
    if leaves is None or any(_bucket_of(leaf) != bucket for leaf in leaves):
        return False
    found = [leaf[_HASH:] for leaf in leaves if leaf[:_HASH] == key_hash]
    if found != ([] if value is None else [_sha256(value).digest()]):
        return False
    return _fold(bucket, _bucket_hash(proof.leaves), proof.path) == root


def _split_leaves(joined: bytes) -> list[bytes] | None:
    """Return the leaves, or None unless they are whole and their keys strictly ascend."""
    if len(joined) % _LEAF:
        return None
    leaves = [joined[i : i + _LEAF] for i in range(0, len(joined), _LEAF)]
    keys = [leaf[:_HASH] for leaf in leaves]
    is_ascending = all(first < second for first, second in pairwise(keys))
    return leaves if is_ascending else None


def _fold(bucket: int, computed: bytes, path: tuple[bytes, ...]) -> bytes | None:
    """Return the root that a bucket's hash and its siblings lead to; None for wrong lengths."""
    if len(path) != LEVELS or any(len(siblings) != _SIBLINGS for siblings in path):
        return None
    index = bucket
    for siblings in path:
        index, place = divmod(index, FANOUT)
        at = place * _HASH
        computed = _node_hash(siblings[:at] + computed + siblings[at:])
    return computed
