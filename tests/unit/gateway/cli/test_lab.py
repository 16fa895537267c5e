"""`smartshare lab`: what was promised was seen, and wrong usage is one line."""

import json

import pytest

from gateway.cli.main import main

PROMISED: dict[int, dict[str, bool | None]] = {
    0: {"finalized": True, "halted": False, "recovered": None},
    1: {"finalized": True, "halted": False, "recovered": None},
    2: {"finalized": False, "halted": True, "recovered": True},
    3: {"finalized": False, "halted": True, "recovered": True},
}


@pytest.mark.parametrize("kill", PROMISED)
def test_the_fault_budget_of_four(kill: int, capsys: pytest.CaptureFixture[str]):
    assert main(["lab", "--agents", "4", "--kill", str(kill), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert {key: report[key] for key in PROMISED[kill]} == PROMISED[kill]
    assert report["height"] > 0
    assert (report["messages_per_node_slot"] > 0) is (kill < 3)  # the last one talks to nobody
    assert report["gini_slots"] == 0
    if report["finalized"]:
        assert 0 < report["finality_ms_p50"] <= report["finality_ms_max"] < 3_000


def test_the_same_seed_gives_the_same_run(capsys: pytest.CaptureFixture[str]):
    runs = []
    for seed in (5, 5, 6):
        main(["lab", "--agents", "5", "--kill", "1", "--seed", str(seed), "--json"])
        runs.append(json.loads(capsys.readouterr().out))
    assert runs[0] == runs[1]
    assert runs[0] != {**runs[2], "seed": 5}


def test_for_people_it_says_the_same(capsys: pytest.CaptureFixture[str]):
    assert main(["lab", "--agents", "4", "--kill", "2", "--minutes", "1"]) == 0
    text = capsys.readouterr().out
    assert "halted safely" in text
    assert "finality went on" in text
    assert text.endswith("what the protocol promises for 2 dead was seen\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--agents", "0"],
        ["--agents", "100"],
        ["--agents", "many"],
        ["--agents", "4", "--kill", "4"],
        ["--kill", "-1"],
        ["--kill", "99"],
        ["--seed", "1.5"],
        ["--minutes", "0"],
        ["--loss", "51"],
        ["--late", "x"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    assert main(["lab", *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.slow
@pytest.mark.simulation
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kill", [32, 33])
def test_the_fault_budget_of_ninety_nine(kill: int, capsys: pytest.CaptureFixture[str]):
    assert main(["lab", "--agents", "99", "--kill", str(kill), "--minutes", "1", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["halted"] is (kill == 33)
    assert report["recovered"] is (True if kill == 33 else None)
    assert report["nakamoto_coefficient"] == 34
