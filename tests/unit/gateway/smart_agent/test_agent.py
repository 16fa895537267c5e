import logging

import pytest

from gateway.smart_agent.keys import AgentKeys, Purpose
from gateway.smart_agent.messages import (
    Bind,
    Describe,
    Refused,
    RefusedReason,
    Signed,
    SignTransaction,
    SignVote,
)
from ledger.codec import canonical
from ledger.crypto import ed25519
from ledger.crypto.domains import NO_HASH, VoteKind, transaction_message, vote_message
from ledger.types.transaction import Transaction, Transfer

CHAIN, OTHER_CHAIN = b"i" * 32, b"j" * 32
A, B = b"a" * 32, b"b" * 32


@pytest.fixture
def bound(agent):
    agent.handle(Bind(CHAIN))
    return agent


def transfer(agent, chain_id=CHAIN):
    wallet = agent.description.wallet
    body = Transfer(to=A, amount=5)
    return canonical.encode(Transaction(chain_id, wallet, 0, wallet, 1000, 100, body))


def test_a_chain_is_named_once(agent):
    assert agent.handle(Describe()).chain_id is None

    bound = agent.handle(Bind(CHAIN))

    assert bound.chain_id == CHAIN
    assert agent.handle(Bind(CHAIN)) == bound == agent.handle(Describe())
    assert agent.handle(Bind(OTHER_CHAIN)).reason is RefusedReason.WRONG_CHAIN


def test_an_unbound_agent_signs_nothing(agent):
    vote = agent.handle(SignVote(VoteKind.NOTARIZE, 0, 1, A))
    payment = agent.handle(SignTransaction(Purpose.WALLET, transfer(agent)))

    assert vote.reason is payment.reason is RefusedReason.NOT_BOUND


@pytest.mark.parametrize(
    ("kind", "block_hash"),
    [(VoteKind.NOTARIZE, A), (VoteKind.NULLIFY, NO_HASH), (VoteKind.FINALIZE, A)],
)
def test_a_vote_is_signed_by_the_consensus_key_over_the_votes_bytes(bound, kind, block_hash):
    answer = bound.handle(SignVote(kind, 0, 1, block_hash))

    message = vote_message(CHAIN, kind, 0, 1, block_hash)
    assert ed25519.verify_strict(bound.description.consensus, message, answer.signature)


def test_the_guard_stands_before_the_key(bound):
    first = bound.handle(SignVote(VoteKind.NOTARIZE, 0, 1, A))
    again = bound.handle(SignVote(VoteKind.NOTARIZE, 0, 1, A))
    other = bound.handle(SignVote(VoteKind.NOTARIZE, 0, 1, B))

    assert isinstance(first, Signed)
    assert again == first
    assert other.reason is RefusedReason.SIGN_GUARD
    assert "another block" in other.detail


def test_a_transaction_is_signed_over_the_bytes_as_given(bound):
    payload = transfer(bound)

    answer = bound.handle(SignTransaction(Purpose.WALLET, payload))

    assert ed25519.verify_strict(
        bound.description.wallet, transaction_message(payload), answer.signature
    )


def test_the_consensus_key_signs_no_transaction(bound):
    answer = bound.handle(SignTransaction(Purpose.CONSENSUS, transfer(bound)))

    assert isinstance(answer, Refused)


def test_a_refusal_is_one_log_line_without_the_payload(bound, caplog):
    caplog.set_level(logging.INFO)
    payload = transfer(bound, OTHER_CHAIN)

    bound.handle(SignTransaction(Purpose.WALLET, payload))

    [record] = caplog.records
    assert record.getMessage() == (
        "refused transaction by the wallet key: wrong-chain: the transaction is for another chain"
    )


def test_a_vote_refused_after_restart_too(agent_folder, bound, caplog):
    assert isinstance(bound.description, AgentKeys)
    bound.handle(SignVote(VoteKind.FINALIZE, 0, 1, A))

    refused = bound.handle(SignVote(VoteKind.NULLIFY, 0, 1, NO_HASH))

    assert refused.reason is RefusedReason.SIGN_GUARD
    assert "NULLIFY vote in epoch 0 slot 1" in caplog.text
