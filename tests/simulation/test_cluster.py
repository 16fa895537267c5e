"""Whole clusters without adversaries: what the fault budget promises, no more and no less."""

from random import Random

import pytest

from gateway.lab.cluster import Cluster
from gateway.lab.signatures import Ed25519Scheme, KeyedHashScheme

pytestmark = pytest.mark.simulation


def run(agents: int, *, dead: int = 0, seconds: int = 60, epoch_blocks: int = 0) -> list[int]:
    """Return the final height of every living node."""
    cluster = Cluster(
        Random(1),
        Ed25519Scheme() if agents <= 4 else KeyedHashScheme(),
        agents=agents,
        set_of=lambda _: range(agents),
        epoch_blocks=epoch_blocks,
    )
    for index in range(agents - dead):
        cluster.add_node(index)
    cluster.start()
    cluster.clockwork.run_until(seconds * 1_000)
    return [node.height for node in cluster.nodes.values()]


@pytest.mark.parametrize("agents", [1, 2, 3, 4, 7])
def test_a_healthy_network_makes_a_block_every_slot(agents: int):
    assert min(run(agents)) >= 18


@pytest.mark.parametrize(("agents", "dead"), [(4, 1), (7, 2), (10, 3)])
def test_a_third_may_be_dead(agents: int, dead: int):
    assert min(run(agents, dead=dead)) >= 10


@pytest.mark.parametrize(("agents", "dead"), [(2, 1), (3, 1), (4, 2), (7, 3)])
def test_with_more_dead_nothing_is_final(agents: int, dead: int):
    assert max(run(agents, dead=dead)) == 0


def test_epochs_follow_one_another():
    assert min(run(4, seconds=120, epoch_blocks=5)) >= 30


@pytest.mark.parametrize("agents", [1, 2, 4])
def test_followers_keep_up_and_late_ones_catch_up(agents: int):
    cluster = Cluster(
        Random(2),
        KeyedHashScheme(),
        agents=agents + 2,
        set_of=lambda _: range(agents),
        epoch_blocks=5,
    )
    for index in range(agents + 1):
        cluster.add_node(index)
    cluster.start()
    cluster.clockwork.run_until(90_000)
    assert cluster.nodes[agents].height >= cluster.nodes[0].height - 1
    late = cluster.add_node(agents + 1)
    late.start()
    cluster.clockwork.run_until(120_000)
    assert late.height >= cluster.nodes[0].height - 1
    assert late.height >= 30
