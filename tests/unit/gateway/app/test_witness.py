"""An agent that contradicts itself is reported by the gateway until the chain has convicted it."""

import msgspec

from gateway.app.witness import INTERVAL_NS, Witness
from gateway.ledger_host.peers.culprits import CULPRITS_MAX, Culprits
from ledger.codec.canonical import encode
from ledger.crypto.domains import VoteKind, vote_message
from ledger.crypto.ed25519 import sign
from ledger.types.block import Vote
from ledger.types.genesis_file import genesis_chain_id
from ledger.types.transaction import ReportEvidence
from tests.support.gateway_lab import GatewayLab
from tests.support.ledger_lab import seed_of
from tests.support.readings import ManualClock, store_run


def notarize(chain_id: bytes, block_hash: bytes, voter: int = 0) -> Vote:
    message = vote_message(chain_id, VoteKind.NOTARIZE, 0, 900, block_hash)
    signature = sign(seed_of("consensus"), message)
    return Vote(VoteKind.NOTARIZE, 0, 900, block_hash, voter, signature)


async def test_a_culprit_is_reported_once_and_convicted(tmp_path):
    clock = ManualClock()
    async with GatewayLab(tmp_path) as lab:
        chain_id = genesis_chain_id(lab.chain.genesis)
        agent = lab.chain.genesis.agents[0].node
        votes = [notarize(chain_id, bytes([n]) * 32) for n in (1, 2)]
        report = encode(ReportEvidence(agent, *votes)).hex()
        lab._handlers["culprits"] = lambda _body: {"reports": [report]}
        lab.make_errand = lambda author: Witness(author, lab.link, clock)
        lab.start()

        await lab.until(lambda: lab.node.is_tombstoned(agent))
        clock._monotonic_ns += INTERVAL_NS
        await lab.until(lambda: lab.requests.count("culprits") >= 2)
        assert lab.store.pending_count() == 0
        assert not lab.service.problem


async def test_a_report_that_is_not_taken_holds_up_no_anchor(tmp_path, caplog):
    async with GatewayLab(tmp_path) as lab:
        chain_id = genesis_chain_id(lab.chain.genesis)
        agent = lab.chain.genesis.agents[0].node
        votes = [notarize(chain_id, bytes([n]) * 32) for n in (1, 2)]
        body = ReportEvidence(agent, *votes)
        await lab.apply("alice", body)
        lab._handlers["culprits"] = lambda _body: {"reports": [encode(body).hex()]}
        lab.make_errand = lambda author: Witness(author, lab.link, ManualClock())
        lab.register("meter")
        lab.start()

        await lab.until(lambda: "not taken: already-exists" in caplog.text)
        await store_run(lab.store, "meter", 3)
        await lab.until_anchored("meter", 3)
        await lab.until(lambda: lab.store.pending_count() == 0)


def test_one_report_an_agent_is_kept_until_it_is_convicted():
    culprits = Culprits()
    nodes = tuple(bytes([n]) * 32 for n in range(CULPRITS_MAX + 5))
    first, second = (notarize(bytes(32), bytes([n]) * 32) for n in (1, 2))

    assert culprits.note(nodes, first, second) == nodes[0]
    assert culprits.note(nodes, second, first) is None
    assert culprits.reports() == (ReportEvidence(nodes[0], first, second),)

    culprits.forget(nodes[0])
    assert culprits.reports() == ()

    for voter in range(len(nodes)):
        one, other = (msgspec.structs.replace(vote, voter=voter) for vote in (first, second))
        culprits.note(nodes, one, other)
    assert len(culprits.reports()) == CULPRITS_MAX
