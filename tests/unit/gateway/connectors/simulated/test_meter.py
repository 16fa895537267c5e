"""The simulated meter: units, electrical consistency, faults."""

import pytest
from hypothesis import given, strategies as st

from gateway.connectors.simulated.household import DAY_MS, energy_mwh, phases_w
from gateway.connectors.simulated.meter import (
    RESET_ENERGY_MWH,
    START_ENERGY_MWH,
    Fault,
    FaultKind,
    Meter,
)
from gateway.profiles.profile import Measure

START_MS = 1_780_272_000_000
NOW_MS = START_MS + 8 * 3_600_000
FAULT_MS = START_MS + 4 * 3_600_000


def measure(name: str, unit: str, scale: int) -> Measure:
    return Measure(name=name, unit=unit, scale=scale)


@pytest.mark.parametrize(
    ("unit", "scale", "value"),
    [
        ("kWh", -3, 12_345_678),
        ("Wh", 0, 12_345_678),
        ("Wh", -3, 12_345_678_000),
        ("kWh", 0, 12_345),
    ],
)
def test_energy_starts_where_an_old_meter_stands_in_any_unit(unit, scale, value):
    measures = (measure("energy_import_total", unit, scale),)

    assert Meter(START_MS, seed=1).measure(measures, START_MS) == {"energy_import_total": value}


def test_power_is_the_households():
    names = ("power_active_l1", "power_active_l2", "power_active_l3")
    measures = tuple(measure(name, "W", 0) for name in names)

    values = Meter(START_MS, seed=3).measure(measures, NOW_MS)

    assert tuple(values.values()) == phases_w(NOW_MS, 3)


@given(st.integers(0, DAY_MS))
def test_a_phase_is_electrically_consistent(since_ms):
    measures = (
        measure("voltage_l1", "V", -3),
        measure("current_l1", "A", -3),
        measure("power_apparent_l1", "VA", -3),
        measure("frequency", "Hz", -3),
    )

    values = Meter(START_MS, seed=1).measure(measures, START_MS + since_ms)

    voltage, current, apparent = (values[one.name] or 0 for one in measures[:3])
    assert 207_000 <= voltage <= 253_000  # EN 50160: 230 V and a tenth
    assert abs(voltage * current // 1000 - apparent) <= voltage // 1000 + 1
    assert 49_980 <= (values["frequency"] or 0) <= 50_020


def test_what_a_household_has_not_is_none():
    assert Meter(START_MS, 1).measure((measure("water", "m3", 0),), NOW_MS) == {"water": None}


def test_an_inverter_feeds_in():
    measures = (measure("energy_export_total", "Wh", 0),)
    meter = Meter(START_MS, 1)

    assert (
        meter.measure(measures, NOW_MS)["energy_export_total"] == meter.energy_mwh(NOW_MS) // 1000
    )


def test_reset_starts_again_as_a_new_meter():
    meter = Meter(START_MS, 1, Fault(FaultKind.RESET, FAULT_MS))

    assert meter.energy_mwh(FAULT_MS - 1) > START_ENERGY_MWH
    assert meter.energy_mwh(FAULT_MS) == RESET_ENERGY_MWH
    assert meter.energy_mwh(NOW_MS) == RESET_ENERGY_MWH + energy_mwh(FAULT_MS, NOW_MS, 1)


def test_backwards_counts_down():
    meter = Meter(START_MS, 1, Fault(FaultKind.BACKWARDS, FAULT_MS))

    assert meter.energy_mwh(FAULT_MS) > START_ENERGY_MWH
    assert meter.energy_mwh(NOW_MS) < meter.energy_mwh(FAULT_MS)


def test_null_has_no_value_at_all():
    meter = Meter(START_MS, 1, Fault(FaultKind.NULL, FAULT_MS))
    measures = (measure("voltage_l1", "V", 0), measure("energy_import_total", "Wh", 0))

    assert None not in meter.measure(measures, FAULT_MS - 1).values()
    assert set(meter.measure(measures, FAULT_MS).values()) == {None}
