"""Blocks are opened once: header and transactions belong together; seals carry nothing."""

from typing import Any

import msgspec
import pytest

from ledger.codec.canonical import encode
from ledger.codec.merkle import merkle_root
from ledger.consensus.blocks import (
    NO_SIGNERS,
    Proposal,
    build_seal,
    find_misplacement,
    must_seal,
    open_block,
)
from ledger.consensus.epoch import Tip
from ledger.crypto.domains import header_hash
from ledger.errors import Reason, Rejected
from ledger.params import BLOCK_BYTES_MAX, BLOCK_TRANSACTIONS_MAX, HEADER_BYTES_MAX
from ledger.types.block import Block
from tests.support.consensus_script import CHAIN, ROOT, Script

SCRIPT = Script()
SLOT_MS = 3_000


def with_transactions(*raws: bytes) -> Proposal:
    header = msgspec.structs.replace(SCRIPT.block().header, transactions_root=merkle_root(raws))
    block = Block(encode(header), raws)
    return Proposal(header, header_hash(block.header), block)


def test_a_block_whose_parts_belong_together_is_opened():
    proposal = with_transactions(b"one", b"two")
    assert open_block(proposal.block, CHAIN) == proposal


@pytest.mark.parametrize("raws", [(), (b"one",), (b"two", b"one"), (b"one", b"two", b"two")])
def test_other_transactions_under_a_header_are_refused(raws: tuple[bytes, ...]):
    block = Block(with_transactions(b"one", b"two").block.header, raws)
    refusal = open_block(block, CHAIN)
    assert isinstance(refusal, Rejected)
    assert refusal.reason is Reason.BAD_BLOCK


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (Block(bytes(HEADER_BYTES_MAX + 1), ()), Reason.TOO_LARGE),
        (Block(b"", (b"",) * (BLOCK_TRANSACTIONS_MAX + 1)), Reason.TOO_LARGE),
        (Block(b"", (bytes(BLOCK_BYTES_MAX + 1),)), Reason.TOO_LARGE),
        (Block(b"\x01", ()), Reason.MALFORMED),
        (Block(SCRIPT.block(version=99).block.header, ()), Reason.WRONG_CHAIN),
        (Block(SCRIPT.block(chain_id=bytes(32)).block.header, ()), Reason.WRONG_CHAIN),
    ],
    ids=["header", "count", "bytes", "garbage", "version", "chain"],
)
def test_what_cannot_be_a_block_of_this_chain_is_refused(block: Block, reason: Reason):
    refusal = open_block(block, CHAIN)
    assert isinstance(refusal, Rejected)
    assert refusal.reason is reason


def test_only_a_seal_stands_on_an_end_block_and_on_a_seal():
    end = SCRIPT.block(next_set_hash=b"n" * 32)
    seal = build_seal(end, SCRIPT.epoch, 2, end.header.time_ms + SLOT_MS, NO_SIGNERS)
    assert not must_seal(None)
    assert not must_seal(SCRIPT.block())
    assert must_seal(end)
    assert must_seal(seal)


def judge(proposal: Proposal, parent: Proposal | None, tip: Tip = ROOT) -> str | None:
    return find_misplacement(proposal, parent, tip, SCRIPT.epoch, SLOT_MS)


def test_places_on_the_root_on_a_block_and_on_an_end():
    first = SCRIPT.block()
    assert judge(first, None) is None
    assert judge(SCRIPT.block(2, first), first) is None
    end = SCRIPT.block(next_set_hash=b"n" * 32)
    seal = build_seal(end, SCRIPT.epoch, 2, end.header.time_ms + SLOT_MS, NO_SIGNERS)
    assert judge(seal, end) is None
    assert judge(SCRIPT.block(2, end), end) == "a block after the epoch's end, or a seal before it"


@pytest.mark.parametrize(
    "changed",
    [
        {"epoch": 1},
        {"height": 2},
        {"proposer": bytes(32)},
        {"time_ms": ROOT.time_ms + SLOT_MS - 1},
        {"seal": True},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_wrong_place_is_named(changed: dict[str, Any]):
    assert judge(SCRIPT.block(**changed), None) is not None


@pytest.mark.parametrize(
    "changed",
    [{"state_root": b"s" * 32}, {"reveal": b"r" * 32}, {"next_set_hash": b"n" * 32}],
    ids=lambda changed: next(iter(changed)),
)
def test_a_seal_that_carries_something_is_none(changed: dict[str, Any]):
    end = SCRIPT.block(next_set_hash=b"n" * 32)
    time_ms = end.header.time_ms + SLOT_MS
    seal = build_seal(end, SCRIPT.epoch, 2, time_ms, NO_SIGNERS)
    header = msgspec.structs.replace(seal.header, **changed)
    block = Block(encode(header), ())
    forged = Proposal(header, header_hash(block.header), block)
    assert judge(forged, end) == "a seal that carries something"
