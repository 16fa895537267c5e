"""A block is valid when executing it again gives the very same block, and only then."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ledger.codec.canonical import encode
from ledger.consensus.blocks import NO_SIGNERS, Proposal
from ledger.consensus.certificate import build_certificate
from ledger.consensus.effects import BuildBlock
from ledger.consensus.epoch import Tip
from ledger.crypto.domains import VoteKind, header_hash, vote_message
from ledger.crypto.ed25519 import sign
from ledger.errors import CorruptStorageError, Reason, UnprovenError
from ledger.network.light_messages import GetFinalBlock, GetHeaders, GetInclusion, GetState
from ledger.node.blocks import read_block
from ledger.node.chain import Chain
from ledger.node.evidence import load_evidence
from ledger.node.light_answers import LightAnswers
from ledger.node.proofs import StateProver
from ledger.params import PROTOCOL_VERSION
from ledger.state.keys import account_key
from ledger.state.transition import CheckedTransaction, check_transaction, genesis_writes
from ledger.storage.store import ChainStore
from ledger.storage.verification import load_state_tree
from ledger.types.block import Block, FinalityProof, Vote
from tests.support.ledger_lab import START_MS, EchoExecutor, make_genesis, make_transfer, seed_of

GENESIS = make_genesis()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ChainStore]:
    store = ChainStore.create_or_open(tmp_path / "chain.db", GENESIS, genesis_writes(GENESIS))
    yield store
    store.close()


@pytest.fixture
def chain(store: ChainStore) -> Chain:
    tree = load_state_tree(store, genesis_writes(GENESIS))
    return Chain(store, tree, GENESIS, EchoExecutor(), node_id=GENESIS.agents[0].node)


def transfer(chain: Chain, nonce: int) -> CheckedTransaction:
    raw = make_transfer(GENESIS, "alice", nonce, "bob", 5)
    checked = check_transaction(raw, chain.chain_id)
    assert isinstance(checked, CheckedTransaction)
    return checked


def build(chain: Chain, *nonces: int) -> Proposal:
    transactions = [transfer(chain, nonce) for nonce in nonces]
    return chain.build(wanted(chain, chain.tip), transactions).proposal


def wanted(chain: Chain, parent: Tip) -> BuildBlock:
    time_ms = parent.time_ms + GENESIS.slot_ms
    return BuildBlock(chain.final.load_epoch(), parent.slot + 1, parent, NO_SIGNERS, time_ms)


def tip_of(proposal: Proposal) -> Tip:
    header = proposal.header
    return Tip(header.height, header.slot, proposal.hash, header.time_ms)


def certify(chain: Chain, proposal: Proposal) -> FinalityProof:
    subject = (VoteKind.FINALIZE, 0, proposal.header.slot, proposal.hash)
    signature = sign(seed_of("consensus"), vote_message(chain.chain_id, *subject))
    vote = Vote(*subject, voter=0, signature=signature)
    return FinalityProof((), build_certificate([vote]))


def edit(proposal: Proposal, **changed: Any) -> Proposal:
    header = msgspec.structs.replace(proposal.header, **changed)
    block = Block(encode(header), proposal.block.transactions)
    return Proposal(header, header_hash(block.header), block)


def with_transactions(proposal: Proposal, *raws: bytes) -> Proposal:
    block = Block(proposal.block.header, raws)
    return Proposal(proposal.header, proposal.hash, block)


def test_what_was_built_is_valid_and_can_be_committed(chain: Chain):
    proposal = build(chain, 0, 1)
    assert chain.validate(proposal) is None
    final = chain.commit(proposal, certify(chain, proposal))
    assert (chain.tip.height, chain.tip.hash) == (1, proposal.hash)
    assert len(final.outcomes) == 2
    assert chain.validate(build(chain, 2)) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"version": PROTOCOL_VERSION + 1},
        {"chain_id": bytes(32)},
        {"height": 2},
        {"parent_slot": 1},
        {"parent_hash": bytes(32)},
        {"time_ms": START_MS + GENESIS.slot_ms - 1},
        {"proposer": bytes(32)},
        {"seal": True},
        {"transactions_root": bytes(32)},
        {"state_root": bytes(32)},
        {"outcomes_root": bytes(32)},
        {"reveal": b"\x01" * 32},
        {"next_set_hash": b"\x01" * 32},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_header_that_says_something_else_is_refused(chain: Chain, changed: dict[str, Any]):
    refusal = chain.validate(edit(build(chain, 0), **changed))
    assert refusal is not None
    assert refusal.reason is Reason.BAD_BLOCK


def test_other_transactions_than_the_header_names_are_refused(chain: Chain):
    proposal = build(chain, 0, 1)
    first, second = proposal.block.transactions
    for raws in [(), (first,), (first, second, first), (second, first), (first, first)]:
        assert chain.validate(with_transactions(proposal, *raws)) is not None
    assert chain.validate(with_transactions(proposal, first, b"garbage")) is not None


def test_a_block_that_is_too_large_is_refused_before_it_is_executed(chain: Chain):
    refusal = chain.validate(with_transactions(build(chain, 0), *[bytes(100_000)] * 3))
    assert refusal is not None
    assert refusal.reason is Reason.TOO_LARGE


@pytest.mark.parametrize(
    "changed",
    [
        {"signatures": (bytes(64),)},
        {"block_hash": bytes(32)},
        {"kind": VoteKind.NOTARIZE},
        {"signers": bytes(13), "signatures": ()},
    ],
)
def test_a_damaged_certificate_is_never_handed_out(
    chain: Chain, store: ChainStore, changed: dict[str, Any]
):
    proposal = build(chain, 0)
    good = certify(chain, proposal).certificate
    damaged = msgspec.structs.replace(good, **changed)
    chain.commit(proposal, FinalityProof((), damaged))
    with pytest.raises(CorruptStorageError, match="certificate of block 1"):
        load_evidence(store, transfer(chain, 0).id, GENESIS)
    with pytest.raises(CorruptStorageError, match="certificate of block 1"):
        Chain(
            store,
            load_state_tree(store, {}),
            GENESIS,
            EchoExecutor(),
            node_id=GENESIS.agents[0].node,
        )


def test_a_block_may_stand_on_one_that_is_not_final(chain: Chain):
    first = build(chain, 0)
    above = BuildBlock(
        chain.final.load_epoch(), 2, tip_of(first), b"\x01" + bytes(12), time_after(first)
    )
    second = chain.build(above, [transfer(chain, 1)]).proposal
    assert len(second.block.transactions) == 1
    assert chain.validate(second) is None
    assert chain.tip.height == 0
    final = chain.commit(first, None)
    assert len(final.outcomes) == 1
    chain.commit(second, certify(chain, second))
    assert chain.tip == tip_of(second)


def test_a_final_block_whose_certificate_is_still_to_be_written_is_not_damage(
    chain: Chain, store: ChainStore
):
    first = build(chain, 0)
    above = wanted(chain, tip_of(first))
    second = chain.build(above, [transfer(chain, 1)]).proposal
    chain.commit(first, None)
    prover = StateProver(store.path, chain, GENESIS)
    lights = LightAnswers(store.path, prover, GENESIS)
    key = account_key(GENESIS.agents[0].node)
    questions = (
        GetHeaders(0, None),
        GetState((key,)),
        GetInclusion((transfer(chain, 0).id,)),
        GetFinalBlock(1),
    )
    for ask in (
        lambda: load_evidence(store, transfer(chain, 0).id, GENESIS),
        lambda: read_block(store, 1, GENESIS),
        lambda: prover.prove(key),
    ):
        with pytest.raises(UnprovenError, match="block 1 is still to be written: ask again"):
            ask()
    assert [lights.answer(question) for question in questions] == [None] * 4
    chain.commit(second, certify(chain, second))
    evidence = load_evidence(store, transfer(chain, 0).id, GENESIS)
    assert evidence is not None
    assert evidence.descendants == (second.block.header,)
    assert None not in [lights.answer(question) for question in questions]


def test_a_block_that_is_missing_below_the_newest_is_damage(chain: Chain, store: ChainStore):
    first = build(chain, 0)
    second = chain.build(wanted(chain, tip_of(first)), []).proposal
    third = chain.build(wanted(chain, tip_of(second)), []).proposal
    chain.commit(first, None)
    chain.commit(second, None)
    chain.commit(third, certify(chain, third))
    with closing(sqlite3.connect(store.path)) as editor, editor:
        editor.execute("DELETE FROM block WHERE height = 2")
    with pytest.raises(CorruptStorageError, match="certificate of block 1: block 2 is missing"):
        read_block(store, 1, GENESIS)


def test_what_stands_beside_the_final_chain_is_dropped(chain: Chain):
    first, rival = build(chain, 0), build(chain)
    chain.commit(first, certify(chain, first))
    with pytest.raises(AssertionError, match="executed before it is final"):
        chain.commit(rival, certify(chain, rival))
    refusal = chain.validate(edit(build(chain, 1), parent_hash=rival.hash))
    assert refusal is not None
    assert "unknown block" in refusal.detail


def time_after(proposal: Proposal) -> int:
    return proposal.header.time_ms + GENESIS.slot_ms
