"""Certificates: exactly what a quorum of the set signed, and nothing else."""

from typing import Any

import msgspec
import pytest

from ledger.consensus.certificate import (
    build_certificate,
    compute_quorum,
    decode_signers,
    encode_signers,
    extract_vote,
    verify_certificate,
    verify_vote,
)
from ledger.crypto.domains import NO_HASH, VoteKind, vote_message
from ledger.crypto.ed25519 import derive_public_key, sign
from ledger.crypto.hashing import hkdf
from ledger.errors import Reason
from ledger.types.block import Certificate, Vote

CHAIN = b"c" * 32
BLOCK = b"b" * 32
SEEDS = [hkdf(b"certificate test", f"agent {index}") for index in range(7)]
KEYS = [derive_public_key(seed) for seed in SEEDS]


def vote(
    voter: int, kind: VoteKind = VoteKind.FINALIZE, block: bytes = BLOCK, slot: int = 9
) -> Vote:
    signature = sign(SEEDS[voter], vote_message(CHAIN, kind, 0, slot, block))
    return Vote(kind, 0, slot, block, voter, signature)


def certificate(
    *voters: int, kind: VoteKind = VoteKind.FINALIZE, block: bytes = BLOCK
) -> Certificate:
    return build_certificate([vote(voter, kind, block) for voter in voters])


@pytest.mark.parametrize(
    ("agents", "quorum"), [(1, 1), (2, 2), (3, 3), (4, 3), (7, 5), (21, 15), (99, 67)]
)
def test_the_quorum_of_the_specification(agents: int, quorum: int):
    assert compute_quorum(agents) == quorum


@pytest.mark.parametrize("agents", [(), (0,), (7, 8), (0, 50, 98), tuple(range(99))])
def test_bitmaps_read_back(agents: tuple[int, ...]):
    bitmap = encode_signers(agents)
    assert len(bitmap) == 13
    assert decode_signers(bitmap) == agents


def test_bit_order_is_the_least_significant_first():
    assert encode_signers([0, 9]) == b"\x01\x02" + bytes(11)


@pytest.mark.parametrize("voters", [(0, 1, 2, 3, 4), (6, 2, 4, 0, 5), tuple(range(7))])
def test_a_quorum_or_more_is_accepted_in_any_order_of_arrival(voters: tuple[int, ...]):
    assert verify_certificate(certificate(*voters), CHAIN, KEYS) is None


def test_a_single_agent_is_its_own_quorum():
    assert verify_certificate(certificate(0), CHAIN, KEYS[:1]) is None


def test_a_slot_is_skipped_without_a_block():
    skipped = certificate(0, kind=VoteKind.NULLIFY, block=NO_HASH)
    assert verify_certificate(skipped, CHAIN, KEYS[:1]) is None


GOOD = certificate(0, 1, 2, 3, 4)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"kind": VoteKind.NOTARIZE}, Reason.BAD_SIGNATURE),
        ({"kind": VoteKind.NULLIFY}, Reason.MALFORMED),
        ({"block_hash": NO_HASH, "kind": VoteKind.NULLIFY}, Reason.BAD_SIGNATURE),
        ({"block_hash": b"x" * 32}, Reason.BAD_SIGNATURE),
        ({"epoch": 1}, Reason.BAD_SIGNATURE),
        ({"epoch": 2**32}, Reason.MALFORMED),
        ({"slot": 10}, Reason.BAD_SIGNATURE),
        ({"signers": encode_signers([0, 1, 2, 3, 5])}, Reason.BAD_SIGNATURE),
        ({"signers": encode_signers([0, 1, 2, 3])}, Reason.MALFORMED),
        ({"signers": encode_signers([0, 1, 2, 3, 4, 5])}, Reason.MALFORMED),
        ({"signers": encode_signers([0, 1, 2, 3, 7])}, Reason.MALFORMED),
        ({"signers": b"\x1f" + bytes(11) + b"\x80"}, Reason.MALFORMED),
        ({"signatures": GOOD.signatures[::-1]}, Reason.BAD_SIGNATURE),
        ({"signatures": (*GOOD.signatures, GOOD.signatures[0])}, Reason.MALFORMED),
        ({"signatures": (*GOOD.signatures[:4], bytes(64))}, Reason.BAD_SIGNATURE),
    ],
)
def test_any_change_is_refused(changed: dict[str, Any], reason: Reason):
    refusal = verify_certificate(msgspec.structs.replace(GOOD, **changed), CHAIN, KEYS)
    assert refusal is not None
    assert refusal.reason is reason


def test_fewer_than_the_quorum_are_refused():
    refusal = verify_certificate(certificate(0, 1, 2, 3), CHAIN, KEYS)
    assert refusal is not None
    assert refusal.detail == "certificate: 4 signers where 5 are needed"


def test_no_signer_at_all_is_refused():
    empty = msgspec.structs.replace(GOOD, signers=bytes(13), signatures=())
    assert verify_certificate(empty, CHAIN, KEYS[:1]) is not None


def test_a_certificate_of_another_chain_is_refused():
    assert verify_certificate(GOOD, b"d" * 32, KEYS) is not None


def test_a_vote_is_its_voters():
    assert verify_vote(vote(3), CHAIN, KEYS) is None
    assert verify_vote(msgspec.structs.replace(vote(3), voter=2), CHAIN, KEYS) is not None
    assert verify_vote(msgspec.structs.replace(vote(3), voter=99), CHAIN, KEYS) is not None


@pytest.mark.parametrize("voters", [(0, 1, 2, 3, 4), (6, 2, 4, 0, 5)])
def test_each_vote_comes_out_of_its_certificate_as_it_went_in(voters: tuple[int, ...]):
    made = certificate(*voters)

    for agent in range(len(KEYS)):
        found = extract_vote(made, agent)
        assert found == (vote(agent) if agent in voters else None)
