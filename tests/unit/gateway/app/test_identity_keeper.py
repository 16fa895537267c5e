"""The identity's lease, between a real store, link and chain: nothing is anchored without it."""

from typing import cast

import msgspec
import pytest

from gateway.app.identity_keeper import HELD_CHECK_NS, IdentityKeeper
from gateway.app.transactions import TransactionAuthor
from gateway.clock import Clock, SystemClock
from gateway.smart_agent.client import AgentClient
from gateway.smart_agent.identity_messages import LeaseStanding, Proofs, RunningInstance
from gateway.smart_agent.keys import AgentKeys
from ledger.codec.text import format_address
from ledger.crypto.domains import possession_message, transaction_message
from ledger.crypto.ed25519 import sign
from ledger.types.genesis import Allocation
from ledger.types.genesis_file import genesis_chain_id
from ledger.types.identity_bodies import NameOwner, RenewLease, RetireNode
from ledger.types.transaction import Transfer
from tests.support.gateway_lab import GatewayLab, MeteringAgent
from tests.support.ledger_lab import address_of, make_genesis, seed_of
from tests.support.readings import ManualClock, store_run

NODE, OURS, OTHER = address_of("node"), b"1" * 32, b"2" * 32


class IdentityAgent(MeteringAgent):
    """A SmartAgent as the keeper sees it: keys of the lab, an instance, and what it was told."""

    def __init__(self, chain_id: bytes, prefix: str = "") -> None:
        super().__init__()
        self._chain_id = chain_id
        self._prefix = prefix
        self.running = RunningInstance(OURS, 0, "unchecked")
        self.reports: list[tuple[LeaseStanding, str]] = []

    @property
    def keys(self) -> AgentKeys:
        names = ("node", "consensus", "metering", "wallet")
        node, consensus, metering, wallet = (address_of(self._prefix + name) for name in names)
        return AgentKeys(node, consensus, metering, wallet, self._chain_id)

    def sign_transaction(self, purpose: str, payload: bytes) -> bytes:
        self.running = msgspec.structs.replace(self.running, renewal=self.running.renewal + 1)
        return sign(seed_of(self._prefix + purpose), transaction_message(payload))

    def running_instance(self) -> RunningInstance:
        return self.running

    def report_lease(self, standing: LeaseStanding, detail: str) -> RunningInstance:
        self.reports.append((standing, detail))
        self.running = msgspec.structs.replace(self.running, standing=standing.value)
        return self.running

    def prove_possession(self) -> Proofs:
        message = possession_message(self._chain_id, self.keys.node)
        purposes = ("consensus", "metering")
        return Proofs(*(sign(seed_of(self._prefix + name), message) for name in purposes))


def guard(lab: GatewayLab, agent: IdentityAgent, clock: Clock | None = None) -> None:
    """Let the lab's services begin with a keeper for `agent`."""
    lab.agent = agent
    keeper_clock = clock or SystemClock()

    def make(author: TransactionAuthor) -> IdentityKeeper:
        client = cast("AgentClient", agent)
        return IdentityKeeper(lab.store, author, lab.link, client, agent.keys, keeper_clock)

    lab.make_gate = make


@pytest.fixture
async def lab(tmp_path):
    async with GatewayLab(tmp_path) as lab:
        guard(lab, IdentityAgent(genesis_chain_id(lab.chain.genesis)))
        lab.register("meter")
        await store_run(lab.store, "meter", 3)
        yield lab


async def test_the_lease_comes_before_the_first_anchor_and_the_wallet_becomes_the_owner(lab):
    lab.start()
    await lab.until_anchored("meter", 3)
    first = next(iter(lab.final(RenewLease)))
    assert first[0] == RenewLease(OURS, 1)
    await lab.until(lambda: lab.final(NameOwner))
    view = lab.node.identity(NODE)
    assert view.lease is not None
    assert (view.lease.instance, view.owner) == (OURS, address_of("wallet"))
    assert [standing for standing, _ in lab.agent.reports] == [LeaseStanding.HELD]
    await lab.until(lambda: not lab.service.problem)


async def test_a_restart_on_the_same_machine_goes_on_at_once(lab):
    lab.start()
    await lab.until_anchored("meter", 3)
    await lab.until(lambda: lab.final(NameOwner))
    await lab.restart()
    await store_run(lab.store, "meter", 2)
    await lab.until_anchored("meter", 5)
    assert len(lab.final(RenewLease)) == 1
    assert len(lab.final(NameOwner)) == 1, "an owner is named once"


async def test_a_copied_card_finds_the_lease_taken_and_anchors_nothing(lab):
    await lab.apply("metering", RenewLease(OTHER, 9))
    lab.start()
    await lab.until(lambda: lab.agent.reports)
    standing, detail = lab.agent.reports[0]
    assert standing is LeaseStanding.TAKEN
    assert OTHER.hex()[:16] in detail
    await lab.until(lambda: detail[:40] in lab.service.problem)
    await lab.pass_blocks(3)
    assert lab.anchors() == []
    assert lab.agent.signed == 0


async def test_the_lease_of_an_instance_that_is_gone_is_taken_when_it_ends(lab):
    await lab.apply("metering", RenewLease(OTHER, 9))
    lab.start()
    await lab.until(lambda: lab.agent.reports)
    lab.chain.clock._now_ms += 16 * 60_000
    await lab.pass_blocks(1)
    await lab.until_anchored("meter", 3)
    assert lab.agent.reports[-1][0] is LeaseStanding.HELD
    assert lab.node.identity(NODE).lease.instance == OURS


async def test_a_retired_node_anchors_nothing(lab):
    await lab.apply("node", RetireNode(NODE, None))
    lab.start()
    await lab.until(lambda: lab.agent.reports)
    assert lab.agent.reports[0][0] is LeaseStanding.RETIRED
    await lab.until(lambda: "retired" in lab.service.problem)
    assert lab.anchors() == []


async def test_a_twin_is_noticed_by_a_renewal_that_we_did_not_sign(lab):
    await lab.apply("metering", RenewLease(OURS, 9))
    lab.start()
    await lab.until(lambda: lab.agent.reports)
    assert lab.agent.reports[0][0] is LeaseStanding.TWIN
    await lab.until(lambda: "runs twice" in lab.service.problem)
    assert lab.anchors() == []


async def test_a_node_that_is_not_in_the_genesis_registers_with_its_proofs(tmp_path):
    genesis = make_genesis()
    funded = Allocation(address_of("newmetering"), 10**12)
    genesis = msgspec.structs.replace(genesis, allocations=(*genesis.allocations, funded))
    async with GatewayLab(tmp_path, genesis=genesis) as lab:
        agent = IdentityAgent(genesis_chain_id(genesis), "new")
        guard(lab, agent)
        lab.sender = agent.keys.metering
        lab.start()
        await lab.until(lambda: lab.node.identity(agent.keys.node).node is not None)
        await lab.until(lambda: lab.node.identity(agent.keys.node).lease is not None)
        node = lab.node.identity(agent.keys.node).node
        assert node is not None
        assert (node.consensus, node.metering) == (agent.keys.consensus, agent.keys.metering)


async def test_a_registration_without_funds_says_so(tmp_path):
    async with GatewayLab(tmp_path) as lab:
        agent = IdentityAgent(genesis_chain_id(lab.chain.genesis), "poor")
        guard(lab, agent)
        lab.sender = agent.keys.metering
        lab.start()
        await lab.until(lambda: "not registered yet" in lab.service.problem)
        assert f"wallet send {format_address(agent.keys.metering)} 1" in lab.service.problem


async def test_what_registered_the_node_for_nothing_leaves_the_naming_of_the_owner_until_it_can_pay(
    tmp_path,
):
    genesis = make_genesis()
    (agent,) = genesis.agents
    others = tuple(one for one in genesis.allocations if one.address != address_of("metering"))
    bonded = (msgspec.structs.replace(agent, bond=10**12),)
    genesis = msgspec.structs.replace(genesis, agents=bonded, allocations=others)
    async with GatewayLab(tmp_path, genesis=genesis) as lab:
        clock = ManualClock()

        def is_named_at_the_next_look() -> bool:
            clock._monotonic_ns += HELD_CHECK_NS
            return bool(lab.final(NameOwner))

        guard(lab, IdentityAgent(genesis_chain_id(genesis)), clock)
        lab.register("meter")
        await store_run(lab.store, "meter", 3)
        lab.start()
        await lab.until(lambda: not is_named_at_the_next_look() and lab.anchors())
        await lab.until(lambda: lab.store.pending_count() == 0)
        await lab.apply("alice", Transfer(lab.sender, 10**9))
        await lab.until(is_named_at_the_next_look)
