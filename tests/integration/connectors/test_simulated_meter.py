"""The connector against the simulated meter: a real process, a real socket, a shipped profile."""

import pytest

from gateway.connectors.simulated.household import DAY_MS, energy_wh
from gateway.connectors.simulated.meter import START_ENERGY_MWH
from gateway.errors import Rejected
from gateway.profiles.library import ProfileLibrary

pytestmark = [pytest.mark.integration]

START_MS = 1_780_272_000_000  # Monday 2026-06-01, 00:00 UTC
START_WH = START_ENERGY_MWH // 1000
WAIT_S = 20

FROM_MONDAY = ("--start-ms", str(START_MS), "--seed", "1")


@pytest.fixture
def sdm630():
    return ProfileLibrary(None).get("eastron-sdm630")


def energies(observations) -> list[int]:
    """Return the import register of each observation, in watt-hours (the scale is -3, in kWh)."""
    found = [
        quantity.value
        for observation in observations
        for quantity in observation.quantities
        if quantity.name == "energy_import_total"
    ]
    return [value for value in found if value is not None]


async def test_what_the_meter_measures_is_what_arrives(meter, sink, sdm630, run_connector):
    port = meter.start(*FROM_MONDAY, "--speed", "36000")  # a day in 2.4 s

    async with run_connector(("meter", sdm630, port, 1, 100)):
        await sink.wait_until(lambda: len(sink.of("meter")) >= 15, WAIT_S)

    wh = energies(sink.of("meter"))
    assert wh == sorted(wh)
    assert len(wh) == len(sink.of("meter"))
    hours = DAY_MS // 24
    assert wh[0] >= START_WH
    assert energy_wh(START_MS, START_MS + 12 * hours, 1) < wh[-1] - wh[0] < 60_000
    values = {one.name: one.value or 0 for one in sink.of("meter")[-1].quantities}
    phases = sum(values[f"power_active_l{phase}"] for phase in (1, 2, 3))
    assert phases > 0
    assert meter.terminate() == 0


async def test_several_units_share_one_connection(meter, sink, sdm630, run_connector):
    port = meter.start(*FROM_MONDAY)
    bus = [(f"unit-{unit}", sdm630, port, unit, 300) for unit in (1, 2, 247)]

    async with run_connector(*bus):
        await sink.wait_until(lambda: min(len(sink.of(name)) for name, *_ in bus) >= 3, WAIT_S)

    assert all(START_WH <= one <= START_WH + 2 for one in energies(sink.observations))
    assert sorted(sink.availability) == sorted((name, True) for name, *_ in bus)


async def test_a_meter_that_was_killed_is_lost_once_and_comes_back(
    meter, sink, sdm630, run_connector
):
    port = meter.start(*FROM_MONDAY)

    async with run_connector(("meter", sdm630, port, 1, 100)):
        await sink.wait_until(lambda: len(sink.of("meter")) >= 2, WAIT_S)
        meter.kill()
        await sink.wait_until(lambda: sink.changes_of("meter") == [True, False], WAIT_S)
        before = len(sink.of("meter"))
        meter.start(*FROM_MONDAY)
        await sink.wait_until(lambda: len(sink.of("meter")) >= before + 2, WAIT_S)

    assert sink.changes_of("meter") == [True, False, True]


async def test_a_meter_without_values_sends_nulls(meter, sink, sdm630, run_connector):
    port = meter.start(*FROM_MONDAY, "--fault", "null-after=0")

    async with run_connector(("meter", sdm630, port, 1, 100)):
        await sink.wait_until(lambda: len(sink.of("meter")) >= 1, WAIT_S)

    assert not isinstance(sink.of("meter")[0].quantities, Rejected)
    assert {one.value for one in sink.of("meter")[0].quantities} == {None}


async def test_a_reset_meter_starts_again(meter, sink, sdm630, run_connector):
    port = meter.start(*FROM_MONDAY, "--speed", "3600", "--fault", "reset-after=1")

    async with run_connector(("meter", sdm630, port, 1, 100)):
        await sink.wait_until(
            lambda: any(one < START_WH for one in energies(sink.observations)), WAIT_S
        )

    assert energies(sink.observations)[-1] < 1000


def test_a_meter_that_is_switched_off_ends_by_itself(meter):
    meter.start(*FROM_MONDAY, "--fault", "stop-after=0.2")

    assert meter.wait() == 0
