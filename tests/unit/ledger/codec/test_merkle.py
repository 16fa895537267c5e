"""Merkle trees against RFC 9162's own definitions and the vectors of RFC 6962 implementations."""

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given, strategies as st

from ledger.codec.merkle import (
    EMPTY_ROOT,
    audit_path,
    audit_paths,
    leaf_hash,
    merkle_root,
    node_hash,
    verify_inclusion,
)

# The leaves and roots with which Certificate Transparency implementations test RFC 6962 trees.
LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
# Audit paths of the same source: (index, size, path).
PATHS = [
    (0, 1, []),
    (
        0,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (
        2,
        3,
        ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    ),
    (
        1,
        5,
        [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]

leaf_lists = st.lists(st.binary(max_size=4), min_size=1, max_size=40)


def largest_power_below(size: int) -> int:
    return 1 << (size - 1).bit_length() - 1


def naive_root(leaves: Sequence[bytes]) -> bytes:
    """MTH as RFC 9162 section 2.1.1 defines it."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = largest_power_below(len(leaves))
    return hashlib.sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def naive_path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH as RFC 9162 section 2.1.3.1 defines it."""
    if len(leaves) == 1:
        return []
    k = largest_power_below(len(leaves))
    if index < k:
        return [*naive_path(index, leaves[:k]), naive_root(leaves[k:])]
    return [*naive_path(index - k, leaves[k:]), naive_root(leaves[:k])]


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_the_known_vectors(size):
    assert merkle_root(LEAVES[:size]).hex() == ROOTS[size - 1]


@pytest.mark.parametrize(("index", "size", "path"), PATHS)
def test_audit_paths_are_those_of_the_known_vectors(index, size, path):
    assert [node.hex() for node in audit_path(LEAVES[:size], index)] == path
    nodes = [bytes.fromhex(node) for node in path]
    assert verify_inclusion(LEAVES[index], index, size, nodes, merkle_root(LEAVES[:size]))


def test_the_empty_tree_has_the_hash_of_nothing():
    assert merkle_root([]) == EMPTY_ROOT == hashlib.sha256().digest()


@given(leaf_lists)
def test_root_and_paths_are_those_of_the_definition(leaves):
    root = merkle_root(leaves)
    assert root == naive_root(leaves)
    paths = audit_paths(leaves)
    for index, leaf in enumerate(leaves):
        assert list(paths[index]) == naive_path(index, leaves) == list(audit_path(leaves, index))
        assert verify_inclusion(leaf, index, len(leaves), paths[index], root)


@given(leaves=leaf_lists, data=st.data())
def test_a_path_proves_no_other_position_leaf_or_size(leaves, data):
    """Leaves are made distinct, so that no second position is truly the same."""
    distinct = [bytes([number]) + leaf for number, leaf in enumerate(leaves)]
    root, index = merkle_root(distinct), data.draw(st.integers(0, len(distinct) - 1))
    path = audit_path(distinct, index)
    for other in range(-1, len(distinct) + 2):
        if other != index:
            assert not verify_inclusion(distinct[index], other, len(distinct), path, root)
    assert not verify_inclusion(distinct[index] + b"x", index, len(distinct), path, root)
    assert not verify_inclusion(distinct[index], index, len(distinct), (*path, root), root)
    assert not verify_inclusion(distinct[index], index, len(distinct), path[:-1], root) or not path


@pytest.mark.parametrize("index", range(8))
def test_any_flipped_bit_of_a_path_or_a_root_fails(index):
    path, root = audit_path(LEAVES, index), merkle_root(LEAVES)
    for level in range(len(path)):
        for position in range(32):
            changed = list(path)
            changed[level] = flip(changed[level], position)
            assert not verify_inclusion(LEAVES[index], index, 8, changed, root)
    for position in range(32):
        assert not verify_inclusion(LEAVES[index], index, 8, path, flip(root, position))


def flip(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


def test_in_a_tree_of_two_each_leaf_stands_only_in_its_place():
    root = node_hash(leaf_hash(b"left"), leaf_hash(b"right"))
    assert verify_inclusion(b"left", 0, 2, [leaf_hash(b"right")], root)
    assert verify_inclusion(b"right", 1, 2, [leaf_hash(b"left")], root)
    assert not verify_inclusion(b"left", 1, 2, [leaf_hash(b"right")], root)
    assert not verify_inclusion(b"right", 0, 2, [leaf_hash(b"left")], root)


def test_an_index_past_the_end_is_refused_even_with_a_path_that_folds_to_the_root():
    root = node_hash(leaf_hash(b"left"), leaf_hash(b"right"))
    for index, size in ((2, 2), (3, 2), (0, 0), (-1, 2), (1, 1)):
        assert not verify_inclusion(b"right", index, size, [leaf_hash(b"left")], root)


def test_an_over_long_path_is_refused_even_where_it_folds_to_the_root():
    inner = node_hash(leaf_hash(b"a"), leaf_hash(b"b"))
    root = node_hash(inner, leaf_hash(b"c"))
    path = [leaf_hash(b"b"), leaf_hash(b"c")]
    assert verify_inclusion(b"a", 0, 3, path, root)
    assert not verify_inclusion(b"a", 0, 2, path, root)
    assert not verify_inclusion(b"a", 0, 1, path, root)


def test_an_inner_node_is_no_leaf():
    """Second pre-images: the bytes of a node's children, shown as a leaf, have another hash."""
    root = merkle_root([b"a", b"b"])
    forged = leaf_hash(b"a") + leaf_hash(b"b")
    assert merkle_root([forged]) != root
    assert not verify_inclusion(forged, 0, 1, [], root)
