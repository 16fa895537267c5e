"""No signature and no hash serves two purposes."""

from itertools import combinations

import pytest

from ledger.crypto import domains
from ledger.crypto.domains import VoteKind
from ledger.crypto.hashing import sha256

PREFIXES = [
    domains.TRANSACTION_PREFIX,
    domains.TRANSACTION_ID_PREFIX,
    domains.VOTE_PREFIX,
    domains.HEADER_PREFIX,
    domains.CONTRACT_ADDRESS_PREFIX,
    domains.COIN_ID_PREFIX,
    domains.CHAIN_ID_PREFIX,
    domains.POSSESSION_PREFIX,
    domains.READING_BATCH_PREFIX,
    domains.QUOTE_PREFIX,
    domains.VOUCHER_PREFIX,
]


def test_no_prefix_begins_with_another():
    for first, second in combinations(PREFIXES, 2):
        assert not first.startswith(second)
        assert not second.startswith(first)


def test_a_transaction_is_signed_and_named_under_different_prefixes():
    assert domains.transaction_message(b"payload") == b"ssp/tx/1\0payload"
    assert domains.transaction_id(b"payload") == sha256(b"ssp/tx-id/1\0payload")


def test_a_vote_has_a_fixed_width_layout():
    chain, block = b"\x11" * 32, b"\x22" * 32
    message = domains.vote_message(chain, VoteKind.FINALIZE, epoch=1, slot=2**40, block_hash=block)
    expected = b"ssp/vote/1\0" + chain + b"\x03" + b"\x00\x00\x00\x01"
    assert message == expected + b"\x00\x00\x01\x00\x00\x00\x00\x00" + block


@pytest.mark.parametrize("name", [domains.contract_address, domains.coin_id])
def test_names_differ_by_creator_and_nonce(name):
    names = {name(creator, nonce) for creator in (bytes(32), b"\x01" * 32) for nonce in (0, 1, 256)}
    assert len(names) == 6
    assert all(len(value) == 32 for value in names)


def test_a_contract_a_coin_a_header_and_a_chain_never_share_a_name():
    creator = bytes(32)
    data = creator + bytes(8)
    assert (
        len(
            {
                domains.contract_address(creator, 0),
                domains.coin_id(creator, 0),
                domains.header_hash(data),
                domains.chain_id(data),
                domains.transaction_id(data),
            }
        )
        == 5
    )
