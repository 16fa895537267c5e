"""300 seeds of everything at once: adversaries, faults, crashes at any write, epochs whose sets change.

More of them: SMARTSHARE_SIMULATION_SEEDS=20000, or scripts/simulate.
"""

import os

import pytest

from tests.simulation.campaign import run_campaign
from tests.simulation.scenario import ADVERSARIES

pytestmark = pytest.mark.simulation

SEEDS = int(os.environ.get("SMARTSHARE_SIMULATION_SEEDS", "300"))
SHARDS = 12  # so that they spread over the processors


@pytest.mark.timeout(600 + SEEDS)
@pytest.mark.parametrize("shard", range(SHARDS))
def test_no_seed_shows_a_violation_or_a_stall(shard: int):
    count = SEEDS // SHARDS
    tally = run_campaign(1 + shard * count, count, jobs=1)
    assert tally.is_clean, tally.violations + tally.stalls
    assert tally.heights >= 15 * count, "the runs made hardly a block: they show nothing"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ADVERSARIES)
def test_each_adversary_alone(kind: str):
    tally = run_campaign(1, 8, jobs=1, kind=kind)
    assert tally.is_clean, tally.violations + tally.stalls
    convicts = {"equivocator", "vote-everything", "twins", "flooder", "forger"}
    if kind in convicts:
        assert tally.accused, "it contradicted itself and nobody noticed"
