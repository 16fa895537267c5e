"""Faults one at a time, without adversaries: what halts, what goes on, and how soon after the heal (L2, L3)."""

from collections.abc import Callable, Sequence
from random import Random

import pytest

from gateway.lab.cluster import SLOT_MS, Cluster
from gateway.lab.network import LinkFaults
from gateway.lab.signatures import KeyedHashScheme
from ledger.consensus.state import DELTA_MS
from tests.simulation.checkers.chains import ChainChecker
from tests.simulation.checkers.votes import VoteChecker

pytestmark = pytest.mark.simulation

FIRST_FINALITY_MS = 2 * (SLOT_MS + 6 * DELTA_MS)  # L2
SEEDS = range(6)


class Lab:
    """A cluster under the checkers that need no heal."""

    def __init__(
        self,
        seed: int,
        agents: int,
        *,
        epoch_blocks: int = 0,
        set_of: Callable[[int], Sequence[int]] | None = None,
    ) -> None:
        self.cluster = Cluster(
            Random(seed),
            KeyedHashScheme(),
            agents=agents,
            set_of=set_of or (lambda _: range(agents)),
            epoch_blocks=epoch_blocks,
        )
        self.nodes = [self.cluster.add_node(index) for index in range(agents)]
        self.chains = ChainChecker(self.cluster, epoch_blocks)
        self.votes = VoteChecker(self.cluster)
        self.cluster.world.observers.extend((self.chains, self.votes))
        self.cluster.start()

    @property
    def network(self):
        return self.cluster.network

    @property
    def now_ms(self) -> int:
        return self.cluster.clockwork.now_ms

    def run_for(self, duration_ms: int) -> None:
        self.cluster.clockwork.run_until(self.now_ms + duration_ms)

    def top(self) -> int:
        return max(node.height for node in self.nodes)

    def bottom(self) -> int:
        return min(node.height for node in self.nodes)

    def sides(self, *sizes: int) -> dict[bytes, int]:
        names = iter(self.cluster.names)
        return {next(names): side for side, size in enumerate(sizes) for _ in range(size)}

    def check(self) -> None:
        self.chains.check_end()
        self.votes.check_end()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("sizes", [(2, 2), (2, 3), (2, 2, 2)], ids=str)
def test_without_a_quorum_on_any_side_it_halts_and_goes_on_soon_after(
    seed: int, sizes: tuple[int, ...]
):
    lab = Lab(seed, sum(sizes))
    lab.run_for(20_000)
    lab.network.partition(lab.sides(*sizes))
    lab.run_for(3_000)
    before = lab.top()
    lab.run_for(60_000)
    assert lab.top() == before
    lab.network.heal()
    lab.run_for(FIRST_FINALITY_MS)
    assert lab.top() > before
    lab.run_for(20_000)
    assert lab.bottom() > before
    lab.check()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_quorum_goes_on_and_who_was_cut_off_follows(seed: int):
    lab = Lab(seed, 4)
    lab.run_for(20_000)
    lab.network.partition(lab.sides(3, 1))
    before = lab.top()
    lab.run_for(60_000)
    assert lab.top() >= before + 10
    lab.network.heal()
    lab.run_for(FIRST_FINALITY_MS)
    assert lab.bottom() >= lab.top() - 1
    lab.check()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("fault", ["one-way", "flapping"])
def test_one_bad_link_stops_nothing(seed: int, fault: str):
    lab = Lab(seed, 4)
    first, second = lab.cluster.names[:2]
    if fault == "one-way":
        lab.network.cut_one_way(first, second)
    else:
        lab.network.flap((first, second), 1_000, 120_000)
    lab.run_for(60_000)
    assert lab.bottom() >= 12
    lab.check()


@pytest.mark.parametrize("seed", SEEDS)
def test_half_of_all_messages_lost_and_slow(seed: int):
    lab = Lab(seed, 5)
    lab.network.faults = LinkFaults(latency_ms=(50, 350), loss=500)
    lab.run_for(400_000)
    assert lab.bottom() >= 50
    lab.check()


@pytest.mark.parametrize("epoch_blocks", [0, 8, 200])
def test_a_node_a_thousand_blocks_behind_reaches_the_tip(epoch_blocks: int):
    lab = Lab(1, 4, epoch_blocks=epoch_blocks)
    lab.run_for(10_000)
    laggard = lab.nodes[3]
    laggard.crash()
    lab.run_for(1_000 * SLOT_MS + 300_000)
    missed = lab.top() - laggard.height
    assert missed >= 950
    laggard.start()
    lab.run_for(60_000 + 1_000 * 2 * 2 * 200 // 16)  # a piece of 16 blocks takes two hops each way
    assert laggard.height >= lab.top() - 1
    lab.check()


def set_clocks(*offsets_ms: int) -> Callable[[Lab], None]:
    def apply(lab: Lab) -> None:
        for node, offset_ms in zip(lab.nodes, offsets_ms, strict=True):
            node.wall_offset_ms = offset_ms
            node.is_synchronised = offset_ms == 0

    return apply


YEAR_MS = 365 * 86_400_000


@pytest.mark.parametrize(
    "offsets_ms",
    [
        (0, 0, 0, -10 * YEAR_MS),
        (0, 0, 10 * YEAR_MS, -10 * YEAR_MS),
        (1_000, -1_000, 5 * YEAR_MS, -YEAR_MS),
        (-YEAR_MS, -YEAR_MS, -YEAR_MS, -YEAR_MS),
    ],
    ids=str,
)
def test_clocks_that_nobody_set_stop_nothing(offsets_ms: tuple[int, ...]):
    lab = Lab(1, 4)
    set_clocks(*offsets_ms)(lab)
    lab.run_for(60_000)
    assert lab.bottom() >= 12
    lab.check()


def test_a_clock_that_jumps_hurts_nobody_but_its_owner():
    lab = Lab(1, 4)
    for jump_ms in (0, 5 * YEAR_MS, -5 * YEAR_MS, 1_000, 0):
        lab.nodes[0].wall_offset_ms = jump_ms
        before = min(node.height for node in lab.nodes[1:])
        lab.run_for(60_000)
        assert min(node.height for node in lab.nodes[1:]) >= before + 8
    assert lab.bottom() >= lab.top() - 1
    lab.check()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_pause_is_made_up_for(seed: int):
    lab = Lab(seed, 4)
    lab.run_for(20_000)
    for node in lab.nodes[:2]:
        node.pause()
    lab.run_for(60_000)
    before = lab.top()
    for node in lab.nodes[:2]:
        node.resume()
    lab.run_for(FIRST_FINALITY_MS)
    assert lab.top() > before
    lab.check()


def test_idle_agents_make_a_block_each_heartbeat():
    cluster = Cluster(
        Random(1), KeyedHashScheme(), agents=4, set_of=lambda _: range(4), heartbeat_ms=30_000
    )
    nodes = [cluster.add_node(index) for index in range(4)]
    for node in nodes:
        node.has_work = False
    cluster.start()
    cluster.clockwork.run_until(300_000)
    assert 8 <= nodes[0].height <= 10
    for node in nodes:
        node.has_work = True
        node.resume()
    cluster.clockwork.run_until(340_000)
    assert nodes[0].height >= 15
