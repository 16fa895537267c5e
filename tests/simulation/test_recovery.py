"""What disasters leave: all nodes down at once, a lost chain database, sets that change entirely."""

from random import Random

import pytest

from gateway.lab.cluster import SLOT_MS
from gateway.lab.disk import Disk
from ledger.consensus.state import DELTA_MS
from tests.simulation.test_partitions import Lab

pytestmark = pytest.mark.simulation

FIRST_FINALITY_MS = 2 * (SLOT_MS + 6 * DELTA_MS)
SEEDS = range(6)


@pytest.mark.parametrize("seed", SEEDS)
def test_all_nodes_lose_power_at_once_again_and_again(seed: int):
    """Blocks that were voted for and not yet final must not keep the chain from going on."""
    lab, random = Lab(seed, 4), Random(seed)
    lab.run_for(10_000)
    for _ in range(8):
        lab.run_for(random.randint(0, 2 * SLOT_MS))
        for node in lab.nodes:
            node.crash()
        lab.run_for(random.randint(1, 5_000))
        for node in lab.nodes:
            lab.chains.check_restart(node)
            node.start()
    before = lab.top()
    lab.run_for(FIRST_FINALITY_MS)
    assert lab.top() > before
    lab.check()


@pytest.mark.parametrize("seed", SEEDS)
def test_every_node_loses_power_in_the_middle_of_a_write(seed: int):
    lab, random = Lab(seed, 4), Random(seed)
    lab.run_for(10_000)
    for node in lab.nodes:
        node.disk.cut_at = node.disk.writes + random.randint(1, 8)
        node.disk.cut_before = random.random() < 0.5
    lab.run_for(30_000)
    assert sum(node.is_up for node in lab.nodes) < 3, "no quorum is left to write anything"
    for node in lab.nodes:
        node.disk.cut_at = None
        if not node.is_up:
            lab.chains.check_restart(node)
            node.start()
    before = lab.top()
    lab.run_for(FIRST_FINALITY_MS)
    assert lab.top() > before
    lab.check()


@pytest.mark.parametrize("epoch_blocks", [0, 5])
def test_a_node_without_its_database_but_with_its_guard_comes_back(epoch_blocks: int):
    lab = Lab(3, 4, epoch_blocks=epoch_blocks)
    lab.run_for(60_000)
    node = lab.nodes[2]
    node.crash()
    lost = Disk(lab.cluster.world.genesis)
    lost.guard = node.disk.guard
    node.disk = lost
    lab.chains.heights[node.name] = 0
    node.start()
    lab.run_for(30_000)
    assert node.height >= lab.top() - 1
    assert any(
        header.proposer == node.name and header.height > 25
        for header in (stored.proposal.header for stored in lab.nodes[0].disk.chain)
    )
    lab.votes.check_end()


@pytest.mark.parametrize("seed", SEEDS)
def test_the_whole_set_may_change_with_every_epoch(seed: int):
    sets = ((0, 1, 2, 3), (4, 5, 6, 7))
    lab = Lab(seed, 8, epoch_blocks=5, set_of=lambda epoch: sets[epoch % 2])
    lab.run_for(120_000)
    assert lab.bottom() >= 25
    lab.check()
    proposers = {
        (stored.proposal.header.epoch % 2, stored.proposal.header.proposer)
        for stored in lab.nodes[0].disk.chain
    }
    names = lab.cluster.names
    assert proposers <= {(parity, names[i]) for parity in (0, 1) for i in sets[parity]}
    assert len(proposers) > 4
