"""Possession proofs, session tokens and the lease: what the agent signs of its node's identity, and when not."""

import pytest

from gateway.smart_agent.agent import TOKEN_BURST
from gateway.smart_agent.identity_messages import (
    AskInstance,
    AskProofs,
    LeaseStanding,
    Proofs,
    ReportLease,
    RunningInstance,
    SignSession,
)
from gateway.smart_agent.keys import Purpose
from gateway.smart_agent.messages import (
    Bind,
    Refused,
    RefusedReason,
    ReportTip,
    Signed,
    SignMany,
    SignReadingBatch,
    SignTransaction,
    SignVote,
)
from gateway.smart_agent.provision import open_agent
from gateway.smart_agent.unlock import find_unlock
from ledger.codec import canonical
from ledger.crypto.domains import VoteKind, possession_message, session_token_message
from ledger.crypto.ed25519 import verify_strict
from ledger.identity.grant import Role
from ledger.identity.session_token import SessionToken, Side
from ledger.types.identity_bodies import RenewLease
from ledger.types.offers import ReadingBatch
from ledger.types.transaction import Body, Transaction, Transfer

CHAIN, A = b"i" * 32, b"a" * 32


@pytest.fixture
def bound(agent):
    agent.handle(Bind(CHAIN))
    agent.handle(ReportTip(is_at_tip=True, agents=1))
    return agent


def token(agent, **changes: object) -> bytes:
    fields: dict[str, object] = {
        "chain_id": CHAIN,
        "side": Side.INITIATOR,
        "signer": agent.description.node,
        "signer_role": Role.AGENT,
        "signer_nonce": b"1" * 32,
        "peer": A,
        "peer_role": Role.AGENT,
        "peer_nonce": b"2" * 32,
        "channel": bytes(32),
        "claims_hash": A,
        "heard_hash": A,
    }
    return canonical.encode(SessionToken(**(fields | changes)))  # type: ignore[arg-type]  # a table of fields


def transaction(agent, purpose: Purpose, body: Body) -> SignTransaction:
    key = agent.description.key_of(purpose)
    payload = canonical.encode(Transaction(CHAIN, key, 0, key, 1000, 100, body))
    return SignTransaction(purpose, payload)


def renewal(agent, number: int, instance: bytes | None = None) -> SignTransaction:
    name = agent.handle(AskInstance()).instance if instance is None else instance
    return transaction(agent, Purpose.METERING, RenewLease(name, number))


def batch(agent) -> SignReadingBatch:
    body = ReadingBatch(CHAIN, agent.description.metering, A, A, 1, 1, 5, 5, A)
    return SignReadingBatch(canonical.encode(body))


def reason_of(answer: object) -> RefusedReason:
    assert isinstance(answer, Refused), answer
    return answer.reason


def test_possession_is_proven_for_this_node_on_this_chain(bound):
    proofs = bound.handle(AskProofs())
    assert isinstance(proofs, Proofs)
    message = possession_message(CHAIN, bound.description.node)
    assert verify_strict(bound.description.consensus, message, proofs.consensus)
    assert verify_strict(bound.description.metering, message, proofs.metering)


def test_an_unbound_agent_proves_nothing(agent):
    assert agent.handle(AskProofs()).reason is RefusedReason.NOT_BOUND
    assert agent.handle(SignSession(token(agent))).reason is RefusedReason.NOT_BOUND


def test_a_session_token_of_our_own_node_is_signed(bound):
    payload = token(bound)
    answer = bound.handle(SignSession(payload))
    assert isinstance(answer, Signed)
    message = session_token_message(payload)
    assert verify_strict(bound.description.node, message, answer.signature)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"chain_id": A}, RefusedReason.WRONG_CHAIN),
        ({"signer": b"s" * 32}, RefusedReason.WRONG_SENDER),
        ({"peer": None}, RefusedReason.MALFORMED),
        ({"peer_nonce": b"1" * 32}, RefusedReason.MALFORMED),
        ({"claims_hash": b""}, RefusedReason.MALFORMED),
    ],
)
def test_any_other_session_token_is_not(bound, changes, reason):
    if changes == {"peer": None}:
        changes = {"peer": bound.description.node}
    refused = bound.handle(SignSession(token(bound, **changes)))
    assert isinstance(refused, Refused)
    assert refused.reason is reason


def test_strangers_cannot_fill_the_audit_log_with_session_tokens(bound):
    request = SignSession(token(bound))
    answers = [bound.handle(request) for _ in range(TOKEN_BURST + 20)]
    assert all(isinstance(answer, Signed) for answer in answers[:TOKEN_BURST])
    assert reason_of(answers[-1]) is RefusedReason.RATE_LIMIT


def test_renewals_are_for_this_instance_and_grow_even_over_a_restart(bound, agent_folder):
    assert isinstance(bound.handle(renewal(bound, 1)), Signed)
    for request in (renewal(bound, 1), renewal(bound, 0), renewal(bound, 2, A)):
        assert bound.handle(request).reason is RefusedReason.NOT_ALLOWED
    assert isinstance(bound.handle(renewal(bound, 5)), Signed)
    running = bound.handle(AskInstance())
    assert isinstance(running, RunningInstance)
    assert (running.renewal, running.standing) == (5, "unchecked")


def test_the_instance_is_the_same_after_a_restart(agent_folder):
    with open_agent(agent_folder, find_unlock(agent_folder)) as agent:
        agent.handle(Bind(CHAIN))
        assert isinstance(agent.handle(renewal(agent, 3)), Signed)
        before = agent.handle(AskInstance())
    with open_agent(agent_folder, find_unlock(agent_folder)) as agent:
        assert agent.handle(AskInstance()) == before
        assert reason_of(agent.handle(renewal(agent, 3))) is RefusedReason.NOT_ALLOWED


@pytest.mark.parametrize("standing", [LeaseStanding.TAKEN, LeaseStanding.TWIN])
def test_who_does_not_hold_the_identity_signs_nothing_with_it(bound, standing):
    payment = transaction(bound, Purpose.WALLET, Transfer(A, 1))
    assert isinstance(bound.handle(payment), Signed)
    answer = bound.handle(ReportLease(standing, "instance abcd holds this identity"))
    assert answer.standing == standing.value

    for request in (payment, batch(bound), SignMany((batch(bound),))):
        refused = bound.handle(request)
        assert refused.reason is RefusedReason.NOT_HELD
        assert "instance abcd holds this identity" in refused.detail
    # Votes have the sign guard; a token lets peers say why; a renewal may take the lease back.
    assert isinstance(bound.handle(SignVote(VoteKind.NOTARIZE, 0, 1, A)), Signed)
    assert isinstance(bound.handle(SignSession(token(bound))), Signed)
    assert isinstance(bound.handle(renewal(bound, 1)), Signed)

    bound.handle(ReportLease(LeaseStanding.HELD, ""))
    assert isinstance(bound.handle(payment), Signed)


def test_a_retirement_is_for_ever_and_leaves_the_wallet_its_owner(bound):
    bound.handle(ReportLease(LeaseStanding.RETIRED, "retired in block 7"))
    assert bound.handle(ReportLease(LeaseStanding.HELD, "")).standing == "retired"
    assert reason_of(bound.handle(batch(bound))) is RefusedReason.NOT_HELD
    assert isinstance(bound.handle(transaction(bound, Purpose.WALLET, Transfer(A, 1))), Signed)
