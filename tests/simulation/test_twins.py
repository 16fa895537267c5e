"""Twins, exhaustively: four agents, one of them twice, every split of the three others in three rounds.

In each round one twin lives on either side of a partition and speaks only there. Whatever they do, the
honest agents never disagree, the agent is convicted when it contradicts itself, and all go on at the end.
"""

from collections.abc import Iterator
from itertools import product
from random import Random

import pytest

from gateway.lab.cluster import Cluster
from gateway.lab.node import LabNode, Outgoing
from gateway.lab.signatures import KeyedHashScheme
from ledger.types.messages import Message
from tests.simulation.adversaries.base import get_targets
from tests.simulation.checkers.chains import ChainChecker
from tests.simulation.checkers.evidence import EvidenceChecker
from tests.simulation.checkers.votes import VoteChecker

pytestmark = pytest.mark.simulation

ROUND_MS = 4_000  # a slot and its skip
HONEST = (1, 2, 3)
SPLITS = tuple(product((0, 1), repeat=len(HONEST)))
ROUNDS = 3


class SplitTwins:
    """Two honest nodes of one agent; twin k hears and speaks on side k only, while there are sides."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.name = cluster.names[0]
        self.sides: dict[bytes, int] = {}
        self.twins = tuple(self._make(side) for side in (0, 1))

    def _make(self, side: int) -> LabNode:
        def send(source: bytes, outgoing: Outgoing) -> None:
            targets = [
                target
                for target in get_targets(self.cluster, source, outgoing)
                if self.sides.get(target, side) == side
            ]
            self.cluster.network.send(source, targets, outgoing.message)

        return LabNode(self.name, self.cluster.seeds[0], self.cluster.world, send)

    def start(self) -> None:
        for twin in self.twins:
            twin.start()

    def deliver(self, peer: bytes, message: Message) -> None:
        for side, twin in enumerate(self.twins):
            if self.sides.get(peer, side) == side:
                twin.deliver(peer, message)


def scenarios() -> Iterator[tuple[tuple[int, ...], ...]]:
    yield from product(SPLITS, repeat=ROUNDS)


def run(splits: tuple[tuple[int, ...], ...]) -> bool:
    """Run one scenario; tell whether the twins were convicted."""
    cluster = Cluster(Random(5), KeyedHashScheme(), agents=4, set_of=lambda _: range(4))
    votes, chains = VoteChecker(cluster), ChainChecker(cluster, 0)
    evidence = EvidenceChecker(cluster)
    cluster.world.observers.extend((votes, chains, evidence))
    nodes = [cluster.add_node(index) for index in HONEST]
    twins = SplitTwins(cluster)
    cluster.add_participant(twins)
    cluster.start()
    for number, split in enumerate(splits, 1):
        twins.sides = {
            cluster.names[index]: side for index, side in zip(HONEST, split, strict=True)
        }
        for one, other in product(HONEST, repeat=2):
            pair = cluster.names[one], cluster.names[other]
            if twins.sides[pair[0]] != twins.sides[pair[1]]:
                cluster.network.cut_one_way(*pair)
        cluster.clockwork.run_until(number * ROUND_MS)
        cluster.network.heal()
    twins.sides = {}
    before = min(node.height for node in nodes)
    cluster.clockwork.run_until(ROUNDS * ROUND_MS + 30_000)
    votes.check_end()
    chains.check_end()
    assert min(node.height for node in nodes) >= before + 3, "no progress after the heal"
    return bool(evidence.accused)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", SPLITS, ids=str)
def test_no_split_makes_the_honest_disagree(first: tuple[int, ...]):
    ran = convicted = 0
    for splits in scenarios():
        if splits[0] == first:
            convicted += run(splits)
            ran += 1
    assert ran == len(SPLITS) ** (ROUNDS - 1)
    assert convicted, "the twins contradicted each other and nobody ever noticed"
