"""A trial of the fault budget: agents are killed, and what was promised for so many dead must follow.

Up to f = floor((n - 1) / 3) dead: blocks go on becoming final. More: nothing becomes final, and
nothing else either, until so many are back that f are dead; then the chain goes on by itself.
"""

import statistics
from collections import Counter
from dataclasses import dataclass, replace
from random import Random  # noqa: TID251 - the type only: the seeded generator is handed in

from gateway.lab.cluster import SLOT_MS, Cluster
from gateway.lab.fairness import compute_gini, compute_nakamoto
from gateway.lab.measuring import Measurement
from gateway.lab.network import LinkFaults
from gateway.lab.node import LabNode
from gateway.lab.signatures import Ed25519Scheme
from ledger.consensus.certificate import compute_quorum

WARM_UP_MS = 4 * SLOT_MS  # everybody lives; then the agents are killed
IN_FLIGHT_MS = 4 * SLOT_MS  # what was on its way at the kill may still become final
RECOVERY_MS = 40 * SLOT_MS  # the longest wait for finality after enough agents came back
FOLLOW_MS = 10 * SLOT_MS  # how far behind the first node with a final block the last may be
LATENCY_MS = (20, 400)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to try. `minutes` is virtual time with the dead dead; `loss` and `late` in thousandths."""

    agents: int
    kill: int
    seed: int
    minutes: int
    loss: int = 0
    late: int = 0  # by 0.2 to 8 s

    @property
    def faults_max(self) -> int:
        """How many of the agents may be dead."""
        return self.agents - compute_quorum(self.agents)


@dataclass(frozen=True, slots=True)
class Report:
    """What was seen while agents were dead; `recovered` is None where nothing had to recover."""

    agents: int
    quorum: int
    killed: int
    seed: int
    finalized: bool
    halted: bool
    recovered: bool | None
    promise_kept: bool
    height: int
    blocks_while_killed: int
    slots_while_killed: int
    finality_ms_p50: int | None
    finality_ms_max: int | None
    block_interval_ms_mean: int | None
    messages_per_node_slot: int
    bytes_per_node_slot: int
    nakamoto_coefficient: int
    gini_slots: float
    gini_blocks: float
    slots_led_min: int
    slots_led_max: int


class Trial:
    """One run of a plan."""

    def __init__(self, plan: Plan, random: Random) -> None:
        self._plan = plan
        self._random = random
        self._cluster = Cluster(
            random, Ed25519Scheme(), agents=plan.agents, set_of=lambda _: range(plan.agents)
        )
        self._cluster.network.faults = LinkFaults(
            latency_ms=LATENCY_MS, loss=plan.loss, late=plan.late
        )
        self._measured = Measurement()
        self._cluster.world.observers.append(self._measured)
        self._nodes = [self._cluster.add_node(index) for index in range(plan.agents)]

    def run(self) -> Report:
        """Warm up, kill, watch; where it halts, let agents return and watch again."""
        cluster, plan = self._cluster, self._plan
        cluster.start()
        cluster.clockwork.run_until(WARM_UP_MS)
        killed = self._random.sample(self._nodes, plan.kill)
        for node in killed:
            node.crash()
        cluster.network.reachable = {node.name for node in self._nodes if node.is_up}
        cluster.clockwork.run_until(WARM_UP_MS + IN_FLIGHT_MS)
        before, slot_before = self._measured.height, self._slot()
        cluster.network.start_counting()
        end_ms = cluster.clockwork.now_ms + plan.minutes * 60_000
        cluster.clockwork.run_until(end_ms)
        blocks = self._measured.height - before
        report = self._report(before, blocks, self._slot() - slot_before)
        if plan.kill <= plan.faults_max:
            return report
        return self._recover(report, killed)

    def _recover(self, report: Report, killed: list[LabNode]) -> Report:
        """Let just enough of the dead return."""
        for node in killed[: self._plan.kill - self._plan.faults_max]:
            node.start()
        before, clockwork = self._measured.height, self._cluster.clockwork
        end_ms = clockwork.now_ms + RECOVERY_MS
        while self._measured.height == before and clockwork.now_ms < end_ms:
            clockwork.run_until(clockwork.now_ms + SLOT_MS)
        recovered = self._measured.height > before
        return replace(
            report,
            recovered=recovered,
            promise_kept=report.halted and recovered,
            height=self._measured.height,
        )

    def _slot(self) -> int:
        return max(node.machine.state.slot for node in self._nodes if node.is_up)

    def _report(self, before: int, blocks: int, slots: int) -> Report:
        plan, measured, network = self._plan, self._measured, self._cluster.network
        finality, intervals = measured.finality_ms(before), measured.intervals_ms(before)
        alive = plan.agents - plan.kill
        elapsed_slots = plan.minutes * 60_000 // SLOT_MS
        node_slots = alive * (max(1, slots) if blocks else elapsed_slots)
        led = self._count_slots_led()
        proposed = [measured.proposers[node.name] for node in self._nodes if node.is_up]
        report = Report(
            agents=plan.agents,
            quorum=compute_quorum(plan.agents),
            killed=plan.kill,
            seed=plan.seed,
            finalized=blocks > 0,
            halted=blocks == 0,
            recovered=None,
            promise_kept=False,
            height=measured.height,
            blocks_while_killed=blocks,
            slots_while_killed=slots,
            finality_ms_p50=int(statistics.median(finality)) if finality else None,
            finality_ms_max=max(finality, default=None),
            block_interval_ms_mean=int(statistics.mean(intervals)) if intervals else None,
            messages_per_node_slot=round(network.counted_messages / node_slots),
            bytes_per_node_slot=round(network.counted_bytes / node_slots),
            nakamoto_coefficient=compute_nakamoto(led),
            gini_slots=round(float(compute_gini(led)), 3),
            gini_blocks=round(float(compute_gini(proposed)), 3),
            slots_led_min=min(led),
            slots_led_max=max(led),
        )
        # Last, because it lets time go on.
        kept = blocks > 0 and self._do_all_reach(report.height)
        return replace(report, promise_kept=kept)

    def _do_all_reach(self, height: int) -> bool:
        """Tell whether every living node comes to this height, with what is on its way."""
        clockwork = self._cluster.clockwork
        end_ms = clockwork.now_ms + FOLLOW_MS
        alive = [node for node in self._nodes if node.is_up]
        while min(node.height for node in alive) < height and clockwork.now_ms < end_ms:
            clockwork.run_until(clockwork.now_ms + SLOT_MS)
        return min(node.height for node in alive) >= height

    def _count_slots_led(self) -> list[int]:
        """Return how often each agent's turn came, over the whole laps that the run began."""
        epoch = self._nodes[0].epoch
        laps = -(-self._slot() // epoch.size)
        turns = Counter(epoch.leader(slot) for slot in range(1, laps * epoch.size + 1))
        return [turns[seat] for seat in range(epoch.size)]
