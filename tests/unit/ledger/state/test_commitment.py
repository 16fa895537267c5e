"""The state commitment against a slow recomputation from its definition, and its proofs."""

import hashlib

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from ledger.codec import canonical
from ledger.state.commitment import (
    BUCKETS,
    FANOUT,
    LEVELS,
    StateProof,
    StateTree,
    verify_state_proof,
)

# Keys found by trial whose hashes share their first 16 bits: they meet in one bucket.
KEYS = [b"key %d" % i for i in range(40)]


def find_bucket_mates(count: int) -> list[bytes]:
    wanted = hashlib.sha256(b"0").digest()[:2]
    mates = (b"%d" % i for i in range(2_000_000))
    found = (key for key in mates if hashlib.sha256(key).digest()[:2] == wanted)
    return [next(found) for _ in range(count)]


MATES = find_bucket_mates(4)
STATES = st.dictionaries(st.sampled_from(KEYS + MATES), st.binary(max_size=3))
WRITES = st.dictionaries(st.sampled_from(KEYS + MATES), st.none() | st.binary(max_size=3))


def hash_(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


EMPTY_SUBTREES = [hash_(b"\x00")]
for _ in range(LEVELS):
    EMPTY_SUBTREES.append(hash_(b"\x01" + EMPTY_SUBTREES[-1] * FANOUT))


def naive_root(state: dict[bytes, bytes]) -> bytes:
    """The definition read aloud: recursion over ranges of buckets."""
    leaves = sorted(hash_(key) + hash_(value) for key, value in state.items())
    return naive_node(leaves, depth=0)


def naive_node(leaves: list[bytes], depth: int) -> bytes:
    if not leaves:
        return EMPTY_SUBTREES[LEVELS - depth]
    if depth == LEVELS:
        return hash_(b"\x00" + b"".join(leaves))
    children: list[list[bytes]] = [[] for _ in range(FANOUT)]
    for leaf in leaves:
        children[int(leaf.hex()[depth], 16)].append(leaf)
    return hash_(b"\x01" + b"".join(naive_node(child, depth + 1) for child in children))


EMPTY_TREE = StateTree()


@settings(max_examples=50)
@given(state=STATES, writes=WRITES)
def test_the_root_is_the_one_of_the_definition(state, writes):
    tree = StateTree.from_items(state.items())
    assert tree.root == naive_root(state)
    after = {key: value for key, value in (state | writes).items() if value is not None}
    assert tree.root_after(writes) == naive_root(after)
    assert tree.root == naive_root(state)
    assert tree.apply(writes) == tree.root == naive_root(after)


@settings(max_examples=30)
@given(state=STATES, writes=WRITES)
def test_asking_for_a_root_changes_no_proof(state, writes):
    tree = StateTree.from_items(state.items())
    before = [tree.prove(key) for key in KEYS + MATES]
    tree.root_after(writes)
    assert [tree.prove(key) for key in KEYS + MATES] == before


@settings(max_examples=30)
@given(state=STATES, key=st.sampled_from(KEYS + MATES))
def test_every_key_has_one_provable_value(state, key):
    tree = StateTree.from_items(state.items())
    proof = tree.prove(key)
    for value in (None, b"", b"\x00", state.get(key)):
        assert verify_state_proof(tree.root, key, value, proof) == (value == state.get(key))


def test_the_empty_state_has_a_root_and_proves_absence():
    assert EMPTY_TREE.root == naive_root({}) == EMPTY_SUBTREES[LEVELS]
    assert verify_state_proof(EMPTY_TREE.root, b"key", None, EMPTY_TREE.prove(b"key"))
    assert not verify_state_proof(EMPTY_TREE.root, b"key", b"", EMPTY_TREE.prove(b"key"))


def test_keys_of_one_bucket_are_all_proved():
    state = dict.fromkeys(MATES[:3], b"value")
    tree = StateTree.from_items(state.items())
    proof = tree.prove(MATES[0])
    assert len(proof.leaves) == 3 * 64
    assert all(verify_state_proof(tree.root, key, b"value", proof) for key in MATES[:3])
    assert verify_state_proof(tree.root, MATES[3], None, proof)


@pytest.mark.parametrize("value", [b"value", None])
def test_any_flipped_byte_of_a_proof_fails(value):
    state = dict.fromkeys(MATES[:2], b"value") | dict.fromkeys(KEYS, b"value")
    tree = StateTree.from_items(state.items())
    key = MATES[0] if value else MATES[3]
    proof = tree.prove(key)
    assert verify_state_proof(tree.root, key, value, proof)
    for position in range(len(proof.leaves)):
        leaves = flip(proof.leaves, position)
        assert not verify_state_proof(tree.root, key, value, StateProof(leaves, proof.path))
    for level in range(LEVELS):
        for position in range(0, 15 * 32, 7):
            path = list(proof.path)
            path[level] = flip(path[level], position)
            changed = StateProof(proof.leaves, tuple(path))
            assert not verify_state_proof(tree.root, key, value, changed)
    for position in range(32):
        assert not verify_state_proof(flip(tree.root, position), key, value, proof)


def flip(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


def rebuild_root(bucket: int, leaves: bytes) -> bytes:
    """The root of a tree in which only this bucket holds something."""
    node = hash_(b"\x00" + leaves)
    for level in range(LEVELS):
        place = bucket // FANOUT**level % FANOUT
        empty = EMPTY_SUBTREES[level]
        node = hash_(b"\x01" + empty * place + node + empty * (FANOUT - 1 - place))
    return node


def test_a_bucket_out_of_order_or_with_strangers_proves_nothing():
    bucket = int.from_bytes(hash_(MATES[0])[:2], "big")
    path = tuple(empty * (FANOUT - 1) for empty in EMPTY_SUBTREES[:LEVELS])
    ordered = sorted(hash_(key) + hash_(b"v") for key in MATES[:2])
    stranger = hash_(KEYS[0]) + hash_(b"v")
    cases = {
        "as it should be": (b"".join(ordered), True),
        "in the wrong order": (b"".join(reversed(ordered)), False),
        "one key twice": (ordered[0] * 2 + ordered[1], False),
        "a key of another bucket": (b"".join(sorted([*ordered, stranger])), False),
        "a part of a leaf": (b"".join(ordered) + b"\x00", False),
    }
    for name, (leaves, expected) in cases.items():
        root = rebuild_root(bucket, leaves)
        proof = StateProof(leaves, path)
        assert verify_state_proof(root, MATES[0], b"v", proof) == expected, name


def test_a_path_of_the_wrong_length_fails_as_value_and_as_bytes():
    proof = EMPTY_TREE.prove(b"key")
    for path in (proof.path[:-1], (*proof.path, proof.path[-1])):
        wrong = StateProof(proof.leaves, path)
        assert not verify_state_proof(EMPTY_TREE.root, b"key", None, wrong)
        with pytest.raises(msgspec.ValidationError):
            msgspec.msgpack.decode(canonical.encode(wrong), type=StateProof)


def test_a_proof_survives_its_canonical_encoding():
    tree = StateTree.from_items([(b"key", b"value")])
    data = canonical.encode(tree.prove(b"key"))
    proof = canonical.Decoder(StateProof).decode(data)
    assert verify_state_proof(tree.root, b"key", b"value", proof)


def test_the_tree_has_the_buckets_it_claims():
    assert BUCKETS == FANOUT**LEVELS == 65_536


def test_what_was_prepared_for_other_writes_is_not_applied():
    tree = StateTree.from_items([(b"key", b"value")])
    first, second = {b"a": b"1"}, {b"b": b"2"}
    tree.root_after(first)
    expected = StateTree.from_items([(b"key", b"value"), (b"b", b"2")]).root
    assert tree.apply(second) == expected
    both = StateTree.from_items([(b"key", b"value"), (b"b", b"2"), (b"a", b"1")]).root
    assert tree.root_after(first) == both
    assert tree.apply(first) == tree.root == both


def test_a_siblings_part_of_the_wrong_length_fails():
    proof = EMPTY_TREE.prove(b"key")
    path = (proof.path[0] + bytes(32), *proof.path[1:])
    assert not verify_state_proof(EMPTY_TREE.root, b"key", None, StateProof(proof.leaves, path))
