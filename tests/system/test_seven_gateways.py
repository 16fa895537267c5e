"""Seven real gateways: with two of them dead finality goes on, with three it halts, and with one back it goes on.

Longer than the others (21 processes): `SMARTSHARE_SEVEN=1` runs it, as root.
"""

import os
import time

import pytest

from tests.support.fleet import Fleet, wait_until
from tests.support.network_lab import network_lab

HOSTS = tuple(f"g{number}" for number in range(1, 8))  # f = 2, a quorum is five
SLOT_MS = 1_000
START_S = 240.0  # 21 interpreters on a small machine
RECOVERY_S = 60.0
BLOCKS = 10
HALT_S = 20.0  # twenty slots

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.alone,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        os.environ.get("SMARTSHARE_SEVEN") != "1",
        reason="takes minutes: SMARTSHARE_SEVEN=1 runs it",
    ),
]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    with (
        network_lab(*HOSTS) as lab,
        Fleet(lab, tmp_path_factory.mktemp("fleet"), HOSTS, SLOT_MS) as running,
    ):
        running.wait_until_all_reach(2, START_S)
        yield running


def test_two_of_seven_may_be_dead_and_three_halt_it_until_one_returns(fleet):
    alive = [fleet.nodes[host] for host in HOSTS[:5]]
    first, second = (fleet.nodes[host] for host in HOSTS[5:])

    def wait_until_they_reach(height: int) -> float:
        return wait_until(
            lambda: all(node.height >= height for node in alive),
            RECOVERY_S,
            lambda: f"not at {height}: {[node.height for node in alive]}",
        )

    first.kill()
    second.kill()
    target = max(node.height for node in alive) + BLOCKS
    print(f"two dead: {BLOCKS} blocks in {wait_until_they_reach(target):.1f} s")

    third = alive.pop()
    third.kill()
    time.sleep(3 * SLOT_MS / 1_000)  # what was on its way becomes final
    halted = max(node.height for node in alive)
    time.sleep(HALT_S)
    assert max(node.height for node in alive) == halted, "four of seven are no quorum"

    third.start()
    alive.append(third)
    print(f"one is back: two blocks in {wait_until_they_reach(halted + 2):.1f} s")

    first.start()
    second.start()
    target = max(node.height for node in alive) + 2
    print(
        f"all are back: at block {target} in {fleet.wait_until_all_reach(target, RECOVERY_S):.1f} s"
    )
    fleet.assert_one_chain()
    assert not any("Traceback" in node.log for node in fleet.nodes.values())
