"""Many seeds: python -m tests.simulation.campaign --seeds 20000 --jobs 2

Prints seeds, final heights, violations and stalls; exit 1 if there was any. A seed that failed can be run
alone: --first SEED --seeds 1.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from tests.simulation.scenario import ADVERSARIES, draw, run

SHARD_SEEDS = 25
SHOWN_MAX = 10


@dataclass(slots=True)
class Tally:
    """What seeds came to; a violation's kind is the invariant it breaks."""

    seeds: int = 0
    heights: int = 0
    accused: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    violations: list[tuple[int, str]] = field(default_factory=list)
    stalls: list[tuple[int, str]] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        self.seeds += other.seeds
        self.heights += other.heights
        self.accused += other.accused
        self.kinds.update(other.kinds)
        self.violations += other.violations
        self.stalls += other.stalls

    @property
    def is_clean(self) -> bool:
        return not self.violations and not self.stalls


def run_seeds(first: int, count: int, kind: str | None, stop_at: int) -> Tally:
    """Run consecutive seeds; end early after `stop_at` failures, if it is not 0."""
    tally = Tally()
    for seed in range(first, first + count):
        scenario = draw(seed, kind)
        tally.seeds += 1
        tally.kinds.update(scenario.byzantine)
        try:
            outcome = run(scenario)
        except Exception as error:  # noqa: BLE001 - whatever the code under test raises is a finding
            text = f"{type(error).__name__}: {error}"
            is_stall = str(error).startswith("L")
            (tally.stalls if is_stall else tally.violations).append((seed, text))
            if stop_at and len(tally.stalls) + len(tally.violations) >= stop_at:
                return tally
        else:
            tally.heights += outcome.height
            tally.accused += outcome.accused
    return tally


def run_campaign(
    first: int, count: int, jobs: int, kind: str | None = None, stop_at: int = 0
) -> Tally:
    """Run seeds in this process or in several."""
    if jobs == 1:
        return run_seeds(first, count, kind, stop_at)
    total = Tally()
    with ProcessPoolExecutor(jobs) as pool:
        shards = [
            pool.submit(run_seeds, start, size, kind, stop_at)
            for start, size in _shards(first, count)
        ]
        for shard in shards:
            total.add(shard.result())
    return total


def _shards(first: int, count: int) -> Iterator[tuple[int, int]]:
    for start in range(first, first + count, SHARD_SEEDS):
        yield start, min(SHARD_SEEDS, first + count - start)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=300)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--adversary", choices=sorted(ADVERSARIES))
    parser.add_argument("--stop-at", type=int, default=0, help="end a shard after so many failures")
    options = parser.parse_args()
    began = time.monotonic()
    tally = run_campaign(
        options.first, options.seeds, options.jobs, options.adversary, options.stop_at
    )
    seconds = time.monotonic() - began
    print(
        f"{tally.seeds} seeds, {tally.heights} final heights, {len(tally.violations)} violations,"
        f" {len(tally.stalls)} stalls, {tally.accused} adversaries convicted, {seconds:.0f} s"
    )
    print("adversaries:", ", ".join(f"{kind} {n}" for kind, n in sorted(tally.kinds.items())))
    for seed, text in (tally.violations + tally.stalls)[:SHOWN_MAX]:
        print(f"  seed {seed}: {text}")
    return 0 if tally.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
