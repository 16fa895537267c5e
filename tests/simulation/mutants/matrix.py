"""The kill matrix: python -m tests.simulation.mutants.matrix [--jobs N] [--only TEXT] [--seeds N]

Each mutant gets a copy of the source with one rule broken, and seeds until the first violation or stall.
Exit 1 if one survives. `scripts/mutants` is the same.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.simulation.mutants.rules import MUTANTS, Mutant

ROOT = Path(__file__).parents[3]
COPIED = ("gateway", "ledger", "tests/simulation")
TIMEOUT_S = 900  # a mutant that makes every run slow is as good as killed, but say so


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a mutant fared: the seeds it took, and what noticed it."""

    mutant: Mutant
    is_killed: bool
    seeds: int
    killer: str


def make_copy(mutant: Mutant, folder: Path) -> None:
    """Copy the source and break one rule in the copy."""
    for part in COPIED:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / part, folder / part, ignore=ignore)
    path = folder / mutant.file
    text = path.read_text()
    assert text.count(mutant.old) == 1, f"{mutant.name}: the rule's text is not there once"
    path.write_text(text.replace(mutant.old, mutant.new))


def judge(mutant: Mutant, seeds_max: int) -> Verdict:
    """Run a mutant until it is killed, or its seeds are used up."""
    seeds = min(mutant.seeds, seeds_max)
    with tempfile.TemporaryDirectory() as name:
        make_copy(mutant, Path(name))
        command = [sys.executable, "-m", "tests.simulation.campaign"]
        command += ["--seeds", str(seeds), "--stop-at", "1"]
        if mutant.kind is not None:
            command += ["--adversary", mutant.kind]
        try:
            result = subprocess.run(
                command, cwd=name, capture_output=True, text=True, timeout=TIMEOUT_S
            )
        except subprocess.TimeoutExpired:
            return Verdict(mutant, is_killed=True, seeds=0, killer=f"no end after {TIMEOUT_S} s")
    ran = re.search(r"^(\d+) seeds", result.stdout, re.MULTILINE)
    killer = re.search(r"seed \d+: (.*)", result.stdout)
    assert ran, f"{mutant.name}: the campaign did not run: {result.stderr[-500:]}"
    is_killed = result.returncode == 1 and killer is not None
    return Verdict(mutant, is_killed, int(ran[1]), killer[1] if killer else "")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="", help="mutants whose name holds this text")
    parser.add_argument("--seeds", type=int, default=600, help="at most so many for each")
    options = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if options.only in mutant.name]
    print(f"{'mutant':55} {'seeds':>6}  killed by")
    survivors = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        for verdict in pool.map(lambda mutant: judge(mutant, options.seeds), chosen):
            survivors += not verdict.is_killed
            killer = verdict.killer[:90] if verdict.is_killed else "SURVIVED"
            print(f"{verdict.mutant.name:55} {verdict.seeds:6}  {killer}", flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} mutants killed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
