"""The list of mutants fits the source; two of them are killed here, all of them by scripts/mutants."""

from collections import Counter
from pathlib import Path

import pytest

from tests.simulation.mutants.matrix import judge
from tests.simulation.mutants.rules import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_rule_that_a_mutant_breaks_is_there_once(mutant: Mutant):
    assert (ROOT / mutant.file).read_text().count(mutant.old) == 1
    assert mutant.old != mutant.new


def test_mutants_have_names_of_their_own_and_are_enough():
    assert max(Counter(mutant.name for mutant in MUTANTS).values()) == 1
    assert len(MUTANTS) >= 15


@pytest.mark.simulation
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["guard: FINALIZE after NULLIFY", "certificates are not verified"])
def test_a_mutant_is_killed(name: str):
    (mutant,) = [mutant for mutant in MUTANTS if mutant.name == name]
    verdict = judge(mutant, 200)
    assert verdict.is_killed, f"{name} survived {verdict.seeds} seeds"
