"""Who led the slots that stayed empty before a block, of every epoch whose set is kept."""

from pathlib import Path

from ledger.node.blocks import SKIPPED_MAX, find_leaders, list_skipped
from ledger.state.epochs import build_agent_set, compute_leader_index, get_epoch
from ledger.storage.reader import ChainReader
from ledger.types.block import Header
from tests.support.snapshot_lab import EPOCH_BLOCKS, SnapshotLab
from tests.support.stake_chain import StakeChain, people

AGENTS = people(4)


def header(epoch: int, parent_slot: int, slot: int) -> Header:
    zeros = bytes(32)
    return Header(
        *(2, zeros, epoch, slot, 1, parent_slot, zeros, 0, zeros, False),
        *(zeros, zeros, zeros, zeros, bytes(13), zeros),
    )


def test_the_leaders_are_those_that_the_rules_name():
    chain = StakeChain(*AGENTS)
    epoch = get_epoch(chain.state)
    agents = build_agent_set(chain.state, epoch.epoch, epoch.order_seed, epoch.current)
    nodes = tuple(seat.node for seat in agents.seats)

    def skipped(parent_slot: int, slot: int) -> tuple[bytes, ...]:
        return list_skipped(nodes, agents.order_seed, header(epoch.epoch, parent_slot, slot))

    slots = range(3, 12)  # over three laps
    expected = [epoch.current[compute_leader_index(epoch, slot)] for slot in slots]
    assert skipped(2, 12) == tuple(expected)
    assert len(set(expected)) == len(AGENTS)
    assert skipped(2, 3) == ()
    assert len(skipped(1, 10**9)) == SKIPPED_MAX


async def test_each_epochs_order_is_known_for_as_long_as_its_set_is_kept(tmp_path: Path):
    lab = SnapshotLab(tmp_path)
    orders = {}
    node = lab.open_keeping()
    try:
        for nonce in range(2 * EPOCH_BLOCKS + 1):
            await lab.grow(node, nonce, 1)
            epoch = node._driver.state.epoch  # as consensus has it
            orders[epoch.number] = (epoch.nodes, epoch.order_seed)
        block = node.block(2 * EPOCH_BLOCKS + 1)
        assert block is not None
        assert (block.header.epoch, block.skipped) == (2, ())
    finally:
        node.close()
    reader = ChainReader.open(lab.path)
    try:
        assert {epoch: find_leaders(reader, epoch, lab.genesis) for epoch in orders} == orders
        assert len(orders) == 3
        assert find_leaders(reader, 7, lab.genesis) is None
    finally:
        reader.close()
