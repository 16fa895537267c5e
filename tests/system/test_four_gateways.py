"""Four real gateways on a network that misbehaves: one chain, and finality is back in time.

After each perturbation all four must be past the newest block of the moment of healing within 20 s
(`RECOVERY_S`). `SMARTSHARE_PERTURBATIONS=200` runs the full length, `SMARTSHARE_SEED` another order.
"""

import os
import random
import time
from collections.abc import Callable

import pytest

from tests.support.fleet import Fleet, FleetNode, wait_until
from tests.support.network_lab import Link, NetworkLab, network_lab

HOSTS = ("g1", "g2", "g3", "g4")
SLOT_MS = 500
START_S = 120.0  # twelve interpreters on a small machine
RECOVERY_S = 20.0
FAULT_S = 10.0
COUNT = int(os.environ.get("SMARTSHARE_PERTURBATIONS", "8"))
SEED = int(os.environ.get("SMARTSHARE_SEED", "1"))

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.alone,
    pytest.mark.timeout(300 + 60 * COUNT),
]


@pytest.fixture(scope="module")
def lab():
    with network_lab(*HOSTS, seed=SEED) as made:
        yield made


@pytest.fixture(scope="module")
def fleet(lab, tmp_path_factory):
    with Fleet(lab, tmp_path_factory.mktemp("fleet"), HOSTS, SLOT_MS) as running:
        running.wait_until_all_reach(2, START_S)
        yield running


def kill(_lab: NetworkLab, node: FleetNode) -> None:
    node.kill()
    node.start()


def restart(_lab: NetworkLab, node: FleetNode) -> None:
    node.stop()
    node.start()


def pause(_lab: NetworkLab, node: FleetNode) -> None:
    node.pause()
    time.sleep(FAULT_S)
    node.go_on()


def disconnect(lab: NetworkLab, node: FleetNode) -> None:
    lab.partition([node.host], [host for host in HOSTS if host != node.host])
    time.sleep(FAULT_S)


def lose(lab: NetworkLab, _node: FleetNode) -> None:
    for host in HOSTS:
        lab.set_link(host, Link(loss=0.1))
    time.sleep(FAULT_S)


def delay(lab: NetworkLab, _node: FleetNode) -> None:
    for host in HOSTS:
        lab.set_link(host, Link(delay_s=(0.05, 0.35)))
    time.sleep(FAULT_S)


def cut_one_way(lab: NetworkLab, node: FleetNode) -> None:
    lab.set_link(node.host, Link(is_cut=True))
    time.sleep(FAULT_S)


def flap(lab: NetworkLab, node: FleetNode) -> None:
    for second in range(int(FAULT_S)):
        lab.set_link(node.host, Link(is_cut=second % 2 == 0))
        time.sleep(1.0)


PERTURBATIONS: tuple[Callable[[NetworkLab, FleetNode], None], ...] = (
    *(kill, restart, pause, disconnect, lose, delay, cut_one_way, flap),
)


def test_the_chain_goes_on_after_every_perturbation(lab, fleet):
    chosen = random.Random(SEED)
    recoveries: list[float] = []
    for number in range(COUNT):
        perturb = PERTURBATIONS[number % len(PERTURBATIONS)]
        node = fleet.nodes[chosen.choice(HOSTS)]
        perturb(lab, node)
        lab.heal()
        newest = max(one.height for one in fleet.nodes.values())
        seconds = fleet.wait_until_all_reach(newest + 2, RECOVERY_S)
        recoveries.append(seconds)
        print(f"{number + 1}. {perturb.__name__} {node.host}: {seconds:.1f} s, block {newest}")
        fleet.assert_one_chain()
    recoveries.sort()
    print(f"recovery p50 {recoveries[len(recoveries) // 2]:.1f} s, max {recoveries[-1]:.1f} s")


def test_half_of_the_agents_is_no_quorum_and_three_are(lab, fleet):
    two, others = HOSTS[:2], HOSTS[2:]
    lab.partition(two, others)
    time.sleep(3.0)  # what was on its way becomes final
    halted = max(node.height for node in fleet.nodes.values())
    time.sleep(6.0)
    assert max(node.height for node in fleet.nodes.values()) <= halted
    lab.heal()
    fleet.wait_until_all_reach(halted + 2, RECOVERY_S)

    lab.partition(HOSTS[:3], HOSTS[3:])
    three = [fleet.nodes[host] for host in HOSTS[:3]]
    alone = fleet.nodes[HOSTS[3]]
    target = max(node.height for node in three) + 5
    wait_until(
        lambda: all(node.height >= target for node in three),
        60,
        lambda: "three of four stand still",
    )
    assert alone.height < target
    lab.heal()
    fleet.wait_until_all_reach(target + 2, RECOVERY_S)
    fleet.assert_one_chain()
    assert not any("Traceback" in node.log for node in fleet.nodes.values())
