"""What a node makes of transactions that a peer passes on: taken ones travel on, forged ones cost standing."""

import msgspec
import pytest

from gateway.ledger_host.peers.desk import submit_from_peer
from gateway.ledger_host.peers.ear import Ear
from gateway.ledger_host.peers.seams import NodeSide, Submitted
from ledger.crypto.domains import VoteKind, vote_message
from ledger.crypto.ed25519 import sign
from ledger.network import topics
from ledger.network.gatekeeper import Dropped, Gatekeeper
from ledger.network.relay import TransactionRelay
from ledger.network.wire import Transactions, encode_message
from ledger.node.node import LedgerNode
from ledger.types.block import Vote
from ledger.types.genesis_file import genesis_chain_id
from ledger.types.transaction import ReportEvidence
from tests.support.ledger_lab import Lab, seed_of

PEER = b"\x07" * 32


@pytest.fixture
def lab(tmp_path):
    return Lab(tmp_path)


@pytest.fixture
async def node(lab):
    node = lab.open()
    yield node
    node.close()


def make_ear(node: LedgerNode) -> Ear:
    ear = Ear(Gatekeeper(), TransactionRelay(), learn=lambda _address: None)
    ear.node = NodeSide(
        receive=lambda _peer, _message: None,
        peer_connected=lambda _peer: None,
        submit=lambda raw: submit_from_peer(node, raw),
        pending=node.pending,
        agents=node.agents,
    )
    return ear


def hear(ear: Ear, *raw: bytes) -> Dropped | None:
    return ear.hear(PEER, topics.TRANSACTIONS, encode_message(Transactions(raw)), now_ms=1_000)


def report(lab: Lab) -> ReportEvidence:
    chain_id = genesis_chain_id(lab.genesis)
    votes = []
    for block in (b"a" * 32, b"b" * 32):
        message = vote_message(chain_id, VoteKind.NOTARIZE, 0, 9, block)
        votes.append(Vote(VoteKind.NOTARIZE, 0, 9, block, 0, sign(seed_of("consensus"), message)))
    return ReportEvidence(lab.genesis.agents[0].node, *votes)


async def test_a_true_report_is_taken_and_passed_on(lab, node):
    ear = make_ear(node)
    raw = lab.sign("alice", 0, report(lab))
    assert hear(ear, raw) is None
    assert node.is_accused(lab.genesis.agents[0].node)
    assert [message.raw for message in ear.relay.flush()] == [(raw,)]


async def test_false_evidence_is_not_passed_on_and_gets_its_peer_banned(lab, node):
    ear, good = make_ear(node), report(lab)
    dropped = None
    for slot in (9, 10, 11):
        first = msgspec.structs.replace(good.first, slot=slot)
        second = msgspec.structs.replace(good.second, slot=slot, signature=bytes(64))
        dropped = hear(ear, lab.sign("alice", 0, ReportEvidence(good.agent, first, second)))
        assert dropped is not None
        assert dropped.detail == "it passed on a forged transaction"
    assert dropped is not None
    assert dropped.is_banned
    assert list(ear.relay.flush()) == []
    assert node.pending(9) == ()


async def test_a_forged_signature_costs_as_much(lab, node):
    ear = make_ear(node)
    forged = lab.transfer("alice", 0)[:-2] + b"\x00\xc0"
    dropped = hear(ear, forged)
    assert dropped is not None
    assert ear.gate.is_banned(PEER, 1_000) is False, "once may be a fault of memory"


async def test_what_is_only_refused_here_costs_nothing(lab, node):
    ear = make_ear(node)
    duplicate = lab.sign("alice", 0, report(lab))
    for raw in (duplicate, lab.sign("bob", 0, report(lab)), lab.transfer("alice", 500)):
        assert hear(ear, raw) is None
    assert ear.dropped == 0
    assert not ear.gate.is_banned(PEER, 1_000)


def test_a_node_without_a_chain_takes_nothing_and_blames_nobody():
    ear = Ear(Gatekeeper(), TransactionRelay(), learn=lambda _address: None)
    ear.node = NodeSide(agents=lambda: ())

    assert hear(ear, b"whatever it is") is None
    assert ear.dropped == 0
    assert ear.node.submit(b"whatever it is") is Submitted.LEFT
    assert ear.node.pending(9) == ()
