import logging
import os

import pytest

from gateway.smart_agent.audit.entry import EntryKind, Result
from gateway.smart_agent.audit.verify import verify_log
from gateway.smart_agent.keys import AgentKeys, Purpose
from gateway.smart_agent.messages import (
    SIGN_MANY_MAX,
    AskAuditHead,
    Bind,
    Describe,
    Refused,
    RefusedReason,
    ReportOwnVote,
    ReportTip,
    Signed,
    SignMany,
    SignTransaction,
    SignVote,
)
from ledger.codec import canonical
from ledger.crypto import ed25519
from ledger.crypto.domains import NO_HASH, VoteKind, transaction_message, vote_message
from ledger.crypto.hashing import sha256
from ledger.types.transaction import Anchor, Transaction, Transfer

CHAIN, OTHER_CHAIN = b"i" * 32, b"j" * 32
A, B = b"a" * 32, b"b" * 32


@pytest.fixture
def bound(agent):
    agent.handle(Bind(CHAIN))
    agent.handle(ReportTip(is_at_tip=True, agents=1))
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


def anchor(agent, first, chain_id=CHAIN):
    sender = agent.description.metering
    body = Anchor(A, A, first, 1, 0, 0, A, bytes(32))
    return SignTransaction(
        Purpose.METERING,
        canonical.encode(Transaction(chain_id, sender, first, sender, 1000, 100, body)),
    )


def entries(folder):
    found = []
    report = verify_log(folder / "audit", visit=lambda entry, _head: found.append(entry))
    assert report.problem == ""
    return found


def test_a_batch_is_signed_in_order_and_each_signature_is_logged(agent_folder, bound):
    requests = tuple(anchor(bound, number) for number in range(SIGN_MANY_MAX))

    answer = bound.handle(SignMany(requests))

    metering = bound.description.metering
    assert len(answer.signatures) == SIGN_MANY_MAX
    for request, signature in zip(requests[::50], answer.signatures[::50], strict=True):
        message = transaction_message(request.payload)
        assert ed25519.verify_strict(metering, message, signature)
    logged = entries(agent_folder)[1:]
    assert [entry.digest for entry in logged] == [
        sha256(transaction_message(request.payload)) for request in requests
    ]


def test_one_bad_request_in_a_batch_and_none_is_signed(agent_folder, bound):
    requests = (anchor(bound, 0), anchor(bound, 1, OTHER_CHAIN), anchor(bound, 2))

    refused = bound.handle(SignMany(requests))

    assert refused.reason is RefusedReason.WRONG_CHAIN
    assert refused.detail.startswith("request 1 of the batch")
    assert len(entries(agent_folder)) == 1


def test_every_kind_of_signature_is_in_the_log_and_refused_votes_too(agent_folder, bound):
    bound.handle(SignTransaction(Purpose.WALLET, transfer(bound)))
    bound.handle(SignVote(VoteKind.NOTARIZE, 0, 1, A))
    bound.handle(SignVote(VoteKind.NOTARIZE, 0, 1, B))
    bound.handle(SignTransaction(Purpose.WALLET, transfer(bound, OTHER_CHAIN)))
    head = bound.handle(AskAuditHead())

    started, payment, vote, refused = entries(agent_folder)
    assert started.kind is EntryKind.STARTED
    assert (payment.kind, payment.purpose) == (EntryKind.TRANSACTION, "wallet")
    assert payment.digest == sha256(transaction_message(transfer(bound)))
    assert (vote.kind, vote.purpose, vote.result) == (EntryKind.VOTE, "consensus", Result.DONE)
    assert vote.digest == sha256(vote_message(CHAIN, VoteKind.NOTARIZE, 0, 1, A))
    assert (refused.kind, refused.result) == (EntryKind.VOTE, Result.REFUSED)
    assert head.sequence == 4
    assert verify_log(agent_folder / "audit").head.hash == head.hash


def test_no_signature_leaves_that_is_not_in_the_log(bound, monkeypatch):
    def fail(_descriptor, _data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", fail)

    payment = bound.handle(SignTransaction(Purpose.WALLET, transfer(bound)))
    vote = bound.handle(SignVote(VoteKind.NOTARIZE, 0, 1, A))

    assert payment.reason is vote.reason is RefusedReason.FAILED
    assert "No space left" in payment.detail


def test_a_vote_leaves_when_its_record_and_its_entry_are_on_disk(bound, monkeypatch):
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)

    bound.handle(SignVote(VoteKind.NOTARIZE, 0, 1, A))
    assert len(synced) == len(set(synced)) == 2

    bound.handle(SignTransaction(Purpose.WALLET, transfer(bound)))
    assert len(synced) == 2, "within a second is soon enough"


def own_vote(agent, slot, block_hash, signer=None):
    """A vote by the agent's own consensus key, as a copy of it elsewhere would give it."""
    message = vote_message(CHAIN, VoteKind.NOTARIZE, 0, slot, block_hash)
    signature = agent._keys.sign(signer or Purpose.CONSENSUS, message)
    return ReportOwnVote(VoteKind.NOTARIZE, 0, slot, block_hash, signature)


def test_its_own_votes_coming_back_are_no_alarm(bound):
    bound.handle(SignVote(VoteKind.NOTARIZE, 0, 3, A))

    assert bound.handle(own_vote(bound, 3, A)).votes == "voting"


def test_a_vote_it_never_gave_raises_the_alarm_for_good(agent_folder, bound, caplog):
    bound.handle(SignVote(VoteKind.NOTARIZE, 0, 3, A))

    answer = bound.handle(own_vote(bound, 4, B))

    assert "another SmartAgent votes with this key" in answer.votes
    assert bound.handle(SignVote(VoteKind.NOTARIZE, 0, 5, A)).reason is RefusedReason.ALARM
    assert "another SmartAgent votes with this key" in caplog.text
    assert entries(agent_folder)[-1].kind is EntryKind.ALARM


def test_nobody_without_the_key_can_raise_it(bound):
    forged = own_vote(bound, 4, B, signer=Purpose.WALLET)

    assert bound.handle(forged).reason is RefusedReason.MALFORMED
    assert isinstance(bound.handle(SignVote(VoteKind.NOTARIZE, 0, 5, A)), Signed)


def test_votes_that_come_while_it_listens_are_one_line_in_the_log(agent, caplog):
    agent.handle(Bind(b"c" * 32, 3_000))
    for slot in range(1, 6):
        refused = agent.handle(SignVote(VoteKind.NOTARIZE, 0, slot, b"a" * 32))
        assert refused.reason is RefusedReason.LISTENING

    warned = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert len(warned) == 1
    assert warned[0].startswith("votes are not signed: listens first")
