"""A gateway whose metering account holds nothing anchors on the stake that somebody bound for it."""

import msgspec

from ledger.codec.text import format_address
from ledger.types.genesis import Genesis
from ledger.types.transaction import Delegate
from tests.support.gateway_lab import GatewayLab
from tests.support.ledger_lab import address_of, make_genesis
from tests.support.readings import store_run


def poor_genesis(bond: int) -> Genesis:
    genesis = make_genesis()
    (agent,) = genesis.agents
    rich = tuple(one for one in genesis.allocations if one.address != address_of("metering"))
    agents = (msgspec.structs.replace(agent, bond=bond),)
    return msgspec.structs.replace(genesis, agents=agents, allocations=rich)


def list_fees(lab: GatewayLab) -> list[int]:
    return [outcome.fee_paid for block in lab.blocks for outcome in block.outcomes]


async def test_readings_are_anchored_without_a_coin(tmp_path):
    async with GatewayLab(tmp_path, genesis=poor_genesis(10**12)) as lab:
        lab.register("meter")
        await store_run(lab.store, "meter", 5)
        lab.start()
        await lab.until_anchored("meter", 5)
        assert lab.node.account(lab.sender).balance == 0
        await lab.until(lambda: list_fees(lab) == [0, 0])


async def test_without_coin_and_stake_nothing_is_signed_that_would_hold_up_what_is_free_later(
    tmp_path,
):
    async with GatewayLab(tmp_path, genesis=poor_genesis(1)) as lab:
        lab.register("meter")
        await store_run(lab.store, "meter", 5)
        lab.start()
        await lab.until(lambda: "holds 0 base units and needs" in lab.service.problem)
        assert format_address(lab.sender) in lab.service.problem
        assert (lab.agent.signed, lab.store.pending_count()) == (0, 0)
        node = lab.chain.genesis.agents[0].node
        await lab.apply("alice", Delegate(node, 10**10, lab.sender))
        await lab.until_anchored("meter", 5)
        assert lab.node.account(lab.sender).balance == 0


async def test_what_comes_too_late_in_an_epoch_waits_for_the_next(tmp_path):
    async with GatewayLab(tmp_path, genesis=poor_genesis(10**8), patience_s=0) as lab:
        lab.register("meter")
        await store_run(lab.store, "meter", 5)
        lab.start()
        await lab.until(lambda: list_fees(lab) == [0] and lab.node.status().pending == 1)
        await lab.until(lambda: len(lab.store.pending_transactions()) == 1)
