"""Keys of different kinds, or of different parts, never collide."""

from itertools import combinations

from ledger.state import keys

A, B = b"\x01" * 32, b"\x02" * 32
ALL = [
    keys.account_key(A),
    keys.node_key(A),
    keys.node_index_key(A),
    keys.device_key(A),
    keys.anchor_key(A, 1),
    keys.anchor_key(A, 2),
    keys.anchor_key(A, 2**63 - 1),
    keys.coin_key(A),
    keys.coin_balance_key(A, B),
    keys.coin_balance_key(B, A),
    keys.contract_key(A),
    keys.contract_code_key(A),
    keys.contract_manifest_key(A),
    keys.contract_storage_key(A, b""),
    keys.contract_storage_key(A, b"k"),
    keys.contract_storage_key(A, B),
    keys.contract_storage_key(B, A),
]


def test_no_two_keys_are_equal():
    assert all(first != second for first, second in combinations(ALL, 2))


def test_only_contract_storage_has_a_free_length():
    assert {len(key) for key in ALL if not key.startswith(b"v")} == {33, 41, 65}
