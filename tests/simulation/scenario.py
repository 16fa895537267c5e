"""One seeded run: a cluster, its adversaries, a bad minute, then a good one, and every checker.

The same seed gives the same run. Faults end at `HEAL_MS`; what must then happen is checked at the end.
"""

from dataclasses import dataclass
from functools import lru_cache
from random import Random

from gateway.lab.cluster import Cluster
from gateway.lab.network import LinkFaults
from gateway.lab.node import LabNode
from gateway.lab.signatures import Ed25519Scheme, KeyedHashScheme
from tests.simulation.adversaries.base import Adversary
from tests.simulation.adversaries.equivocator import Equivocator
from tests.simulation.adversaries.flooder import Flooder
from tests.simulation.adversaries.forger import Forger
from tests.simulation.adversaries.liar import Liar
from tests.simulation.adversaries.puppet import Puppet
from tests.simulation.adversaries.selective import Selective
from tests.simulation.adversaries.silent import Silent
from tests.simulation.adversaries.skipper import Skipper
from tests.simulation.adversaries.twins import Twins
from tests.simulation.adversaries.usurper import Usurper
from tests.simulation.adversaries.vote_everything import VoteEverything
from tests.simulation.checkers.chains import ChainChecker
from tests.simulation.checkers.evidence import EvidenceChecker
from tests.simulation.checkers.liveness import LivenessChecker
from tests.simulation.checkers.memory import check_memory
from tests.simulation.checkers.votes import VoteChecker

HEAL_MS = 40_000
END_MS = HEAL_MS + 60_000
GROWTH = 4  # agents outside the first set, where sets change
ED25519_EVERY = 20  # of so many seeds one runs on real signatures

ADVERSARIES: dict[str, type[Adversary]] = {
    "silent": Silent,
    "equivocator": Equivocator,
    "vote-everything": VoteEverything,
    "selective": Selective,
    "twins": Twins,
    "skipper": Skipper,
    "liar": Liar,
    "flooder": Flooder,
    "forger": Forger,
    "puppet": Puppet,
    "usurper": Usurper,
}
# agents, Byzantine, offline
SIZES = ((4, 1, 0), (4, 0, 1), (5, 1, 0), (7, 2, 0), (7, 1, 1), (10, 3, 0))
# blocks of an epoch, whether its set changes
EPOCHS = ((0, False), (5, False), (8, True))


@dataclass(frozen=True, slots=True)
class Scenario:
    """What a seed decides. Probabilities are in thousandths, of each step of the chaos."""

    seed: int
    agents: int
    byzantine: tuple[str, ...]
    offline: int
    epoch_blocks: int
    has_churn: bool
    loss: int
    partition: int
    crash: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to: the lowest final height, blocks gained after the heal, who was accused."""

    height: int
    accused: int
    first_after_heal_ms: int | None


def draw(seed: int, kind: str | None = None) -> Scenario:
    """Return the scenario of a seed; with a `kind` every adversary is of that kind."""
    random = Random(seed)
    agents, byzantine, offline = random.choice(SIZES)
    epoch_blocks, has_churn = random.choice(EPOCHS)
    kinds = [random.choice(list(ADVERSARIES)) for _ in range(byzantine)]
    if kind is not None:
        kinds = [kind for _ in kinds] or [kind]
        if not byzantine:
            offline = 0
    return Scenario(
        seed=seed,
        agents=agents,
        byzantine=tuple(kinds),
        offline=offline,
        epoch_blocks=epoch_blocks,
        has_churn=has_churn,
        loss=random.choice((0, 100, 300, 500)),
        partition=random.randint(0, 1_000),
        crash=random.randint(0, 400),
    )


def run(scenario: Scenario) -> Outcome:
    """Run a scenario; raises `AssertionError` or `NodeHaltedError` at the first violation."""
    return _Run(scenario).run()


class _Run:
    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.random = Random(scenario.seed + 1_000_003)
        total = scenario.agents + (GROWTH if scenario.has_churn else 0)
        bad = self.random.sample(range(total), len(scenario.byzantine) + scenario.offline)
        byzantine, offline = bad[: len(scenario.byzantine)], bad[len(scenario.byzantine) :]
        self.cluster = Cluster(
            self.random,
            Ed25519Scheme() if scenario.seed % ED25519_EVERY == 0 else KeyedHashScheme(),
            agents=total,
            set_of=_draw_sets(scenario, total, frozenset(bad)),
            epoch_blocks=scenario.epoch_blocks,
        )
        self.votes = VoteChecker(self.cluster)
        self.chains = ChainChecker(self.cluster, scenario.epoch_blocks)
        self.evidence = EvidenceChecker(self.cluster)
        self.liveness = LivenessChecker(self.cluster, self.chains)
        self.cluster.world.observers.extend((self.votes, self.chains, self.evidence))
        for index in range(total):
            if index not in bad:
                self._skew_clock(self.cluster.add_node(index))
        for index, kind in zip(byzantine, scenario.byzantine, strict=True):
            adversary = ADVERSARIES[kind](self.cluster, index, self.random)
            self.cluster.add_participant(adversary)
            if adversary.is_guarded:
                self.votes.guarded.add(adversary.name)
        assert len(self.cluster.nodes) == total - len(byzantine) - len(offline)

    @property
    def honest(self) -> list[LabNode]:
        return list(self.cluster.nodes.values())

    def run(self) -> Outcome:
        cluster = self.cluster
        cluster.network.faults = LinkFaults(loss=self.scenario.loss, late=100, duplicate=50)
        cluster.start()
        cluster.clockwork.at(self.random.randint(2_000, 8_000), self._disturb)
        cluster.clockwork.at(HEAL_MS, self._heal)
        cluster.clockwork.run_until(END_MS)
        check_memory(cluster)
        for checker in (self.votes, self.chains, self.liveness):
            checker.check_end()
        return Outcome(
            height=min(node.height for node in self.honest),
            accused=len(self.evidence.accused),
            first_after_heal_ms=self.liveness.first_after_heal_ms(),
        )

    def _skew_clock(self, node: LabNode) -> None:
        """Give some nodes a clock that nobody set: years wrong, and known to be."""
        if self.random.random() < 0.1:
            node.is_synchronised = False
            node.wall_offset_ms = self.random.randint(-(10**11), 10**11)

    def _disturb(self) -> None:
        """One step of the chaos; the next follows in 2 to 12 s."""
        random, network, now_ms = self.random, self.cluster.network, self.cluster.clockwork.now_ms
        if now_ms >= HEAL_MS:
            return
        network.heal()
        if random.random() * 1_000 < self.scenario.partition:
            sides = random.choice((2, 2, 3))
            network.partition({name: random.randrange(sides) for name in self.cluster.names})
        self._disturb_links()
        for node in self.honest:
            self._disturb_node(node)
        check_memory(self.cluster)
        self.cluster.clockwork.at(now_ms + random.randint(2_000, 12_000), self._disturb)

    def _disturb_links(self) -> None:
        random, network = self.random, self.cluster.network
        first, second = random.sample(self.cluster.names, 2)
        if random.random() < 0.2:
            network.cut_one_way(first, second)
        elif random.random() < 0.1:
            network.flap((first, second), 1_000, HEAL_MS)

    def _disturb_node(self, node: LabNode) -> None:
        """Crash it now, or at one of its next writes; or stop it, or its signer, for a while."""
        random, clockwork = self.random, self.cluster.clockwork
        if not node.is_up or random.random() * 1_000 >= self.scenario.crash:
            return
        back_ms = clockwork.now_ms + random.randint(100, 9_000)
        match random.choice(("crash", "power cut", "power cut", "pause", "signer")):
            case "crash":
                node.crash()
                clockwork.at(back_ms, self._restart, node)
            case "power cut":
                node.disk.cut_at = node.disk.writes + random.randint(1, 6)
                node.disk.cut_before = random.random() < 0.5
                clockwork.at(back_ms, self._restart, node)
            case "pause":
                node.pause()
                clockwork.at(back_ms, node.resume)
            case _:
                node.is_signer_away = True
                clockwork.at(back_ms, self._bring_signer_back, node)

    def _bring_signer_back(self, node: LabNode) -> None:
        node.is_signer_away = False

    def _restart(self, node: LabNode) -> None:
        node.disk.cut_at = None
        if not node.is_up:
            self.chains.check_restart(node)
            node.start()

    def _heal(self) -> None:
        self.cluster.network.faults = LinkFaults()
        self.cluster.network.heal()
        for node in self.honest:
            node.resume()
            self._bring_signer_back(node)
            self._restart(node)
        self.liveness.note_heal()


def _draw_sets(scenario: Scenario, total: int, bad: frozenset[int]):
    """Return the set of each epoch; no set holds more bad agents than it can bear."""
    fixed = list(range(scenario.agents))

    @lru_cache
    def set_of(epoch: int) -> list[int]:
        random = Random(scenario.seed * 1_000 + epoch)
        members = fixed
        if scenario.has_churn:
            bearable = (scenario.agents - 1) // 3
            chosen = random.sample(sorted(bad), min(len(bad), bearable))
            good = [index for index in range(total) if index not in bad]
            members = chosen + random.sample(good, scenario.agents - len(chosen))
        return sorted(members)

    return set_of
