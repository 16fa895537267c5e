"""A full node's answers, made from a real chain, are what a light node's follower takes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ledger.errors import Rejected
from ledger.light import Checkpoint
from ledger.light.follower import HeaderFollower, Taken
from ledger.light.proofs import (
    ProvenBlock,
    ProvenInclusions,
    ProvenState,
    check_block,
    check_inclusion,
    check_state,
)
from ledger.network.light_messages import GetFinalBlock, GetHeaders, GetInclusion, GetState
from ledger.node.light_answers import LightAnswers
from ledger.node.node import LedgerNode
from ledger.state.keys import account_key
from tests.support.ledger_lab import START_MS, address_of, finalise
from tests.support.snapshot_lab import EPOCH_BLOCKS, SnapshotLab

BLOCKS = 4 * EPOCH_BLOCKS + 1
NOW_MS = START_MS


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[tuple[SnapshotLab, LedgerNode]]:
    lab = SnapshotLab(tmp_path)
    node = lab.open_keeping()
    await lab.grow(node, 0, BLOCKS)
    yield lab, node
    node.close()


def answers(lab: SnapshotLab, node: LedgerNode) -> LightAnswers:
    return LightAnswers(lab.path, node.prover, lab.genesis)


def follow(
    lab: SnapshotLab, node: LedgerNode, checkpoint: Checkpoint | None = None
) -> HeaderFollower:
    follower = HeaderFollower(lab.genesis, checkpoint)
    content = answers(lab, node).answer(follower.question())
    assert content is not None
    taken = follower.take_headers(content, NOW_MS)
    assert isinstance(taken, Taken), taken
    assert taken.is_complete
    return follower


async def test_headers_lead_to_the_newest_block(node):
    lab, full = node
    follower = follow(lab, full)
    assert follower.newest is not None
    assert follower.newest.hash == full.status().hash
    assert follower.epoch == full.status().epoch


async def test_agents_that_stay_need_no_end_block_but_that_of_the_checkpoint(node):
    lab, full = node
    end = full.block(2 * EPOCH_BLOCKS)
    assert end is not None
    follower = follow(lab, full, Checkpoint(1, end.hash))
    assert follower.is_ready
    refused = HeaderFollower(lab.genesis, Checkpoint(1, bytes(32)))
    content = answers(lab, full).answer(refused.question())
    assert content is not None
    assert isinstance(refused.take_headers(content, NOW_MS), Rejected)


async def test_state_transactions_and_blocks_are_proven(node):
    lab, full = node
    follower = follow(lab, full)
    keys = (account_key(address_of("carol")), account_key(address_of("nobody")))
    content = answers(lab, full).answer(GetState(keys))
    assert content is not None
    state = check_state(follower, keys, content)
    assert isinstance(state, ProvenState)
    assert state.values[keys[0]] == full.state().get(keys[0])
    assert state.values[keys[1]] is None

    block = full.block(5)
    assert block is not None
    content = answers(lab, full).answer(GetFinalBlock(5))
    assert content is not None
    proven = check_block(follower, 5, content)
    assert isinstance(proven, ProvenBlock)
    assert (proven.at.hash, proven.transaction_ids) == (block.hash, block.transaction_ids)

    wanted = (block.transaction_ids[0], bytes(32))
    content = answers(lab, full).answer(GetInclusion(wanted))
    assert content is not None
    found = check_inclusion(follower, wanted, content)
    assert isinstance(found, ProvenInclusions)
    assert found.height == full.status().height
    assert [one.id for one in found.found] == [block.transaction_ids[0]]


async def test_what_is_not_there_has_no_answer(node):
    lab, full = node
    assert answers(lab, full).answer(GetFinalBlock(10_000)) is None
    assert answers(lab, full).answer(GetFinalBlock(0)) is None


async def test_a_chain_of_the_genesis_alone_has_no_header_yet(tmp_path: Path):
    lab = SnapshotLab(tmp_path)
    full = lab.open_keeping()
    try:
        assert answers(lab, full).answer(GetHeaders(0, None)) is None
        assert answers(lab, full).answer(GetState((b"x",))) is None
    finally:
        full.close()


async def test_a_follower_that_knows_the_present_is_told_only_what_is_new(node):
    lab, full = node
    follower = follow(lab, full)
    short = answers(lab, full).answer(follower.question())
    await finalise(full, lab.transfer("alice", BLOCKS))
    assert short is not None
    assert len(short) < 1_000
    content = answers(lab, full).answer(follower.question())
    assert content is not None
    assert isinstance(follower.take_headers(content, NOW_MS), Taken)
    assert follower.newest is not None
    assert follower.newest.header.height == full.status().height
