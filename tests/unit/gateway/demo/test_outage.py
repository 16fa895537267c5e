"""The act of the killed gateway takes place whole, however seldom a slow machine looks."""

import pytest

from gateway.demo.neighbours import Neighbours
from gateway.demo.outage import KILL_AT_MS, RETURN_AT_MS, Outage
from gateway.demo.screen import View
from gateway.demo.stage import DAY_MS


class Recorder(Neighbours):
    """Processes that are only told about."""

    def __init__(self) -> None:
        super().__init__({}, lambda home: pytest.fail(f"{home} is started"))
        self.told: list[str] = []

    def kill_one(self) -> None:
        self.told.append("kill")

    def bring_back(self) -> None:
        self.told.append("back")


@pytest.fixture
def act():
    neighbours, view = Recorder(), View()
    return neighbours, view, Outage(neighbours, view)


def test_it_is_killed_once_and_brought_back_once(act):
    neighbours, view, outage = act
    for height, metered_ms in enumerate(range(0, DAY_MS, DAY_MS // 96)):
        view.height = height
        outage.advance(metered_ms)
        assert outage.is_over == (metered_ms >= RETURN_AT_MS)
        assert bool(neighbours.told) == (metered_ms >= KILL_AT_MS)

    assert neighbours.told == ["kill", "back"]


def test_a_day_that_is_seen_only_at_its_end_has_its_outage_then(act):
    neighbours, view, outage = act
    view.height = 40
    outage.advance(DAY_MS)
    outage.advance(DAY_MS + 1)
    assert neighbours.told == ["kill"], "no block came without it yet"
    assert not outage.is_over

    view.height = 41
    outage.advance(DAY_MS + 2)

    assert neighbours.told == ["kill", "back"]
    assert outage.is_over
