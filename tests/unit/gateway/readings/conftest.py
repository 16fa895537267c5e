"""A store on a fresh folder."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.readings.store import ReadingsStore
from tests.support.readings import NODE_ID, ManualClock

OpenStore = Callable[[ManualClock], ReadingsStore]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["fast disk", "slow disk"])
def any_clock(request: pytest.FixtureRequest) -> ManualClock:
    """On the slow disk the store soon lets its thread write."""
    return ManualClock(commit_ns=20_000_000 if request.param == "slow disk" else 0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "readings.db"


@pytest.fixture
def open_store(path: Path) -> Iterator[OpenStore]:
    """Open the store of this test; those still open at its end are closed."""
    opened: list[ReadingsStore] = []

    def open_(clock: ManualClock) -> ReadingsStore:
        opened.append(ReadingsStore.open(path, clock, NODE_ID))
        return opened[-1]

    yield open_
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: OpenStore, clock: ManualClock) -> ReadingsStore:
    return open_store(clock)
