"""An electricity meter on a household's three phases: what each quantity reads at any moment.

Pure: time is an argument. Energy depends on simulated time alone, so it never falls, unless a
fault is asked for.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.connectors.simulated import household
from gateway.profiles.profile import Measure

START_ENERGY_MWH = 12_345_678_000  # a meter that has hung on its wall for three years
RESET_ENERGY_MWH = 1_000  # a new one has been tested; SunSpec's accumulators mean "none" by 0

_PHASES = {"l1": 0, "l2": 1, "l3": 2}
_PREFIX_EXPONENTS = {
    "kW": 3,
    "kWh": 3,
    "kVA": 3,
    "kvar": 3,
    "kvarh": 3,
    "MWh": 6,
    "mA": -3,
    "%": -2,
}
_LINE_VOLTAGES_MV = {"voltage_l1_l2": 399_900, "voltage_l2_l3": 400_200, "voltage_l3_l1": 399_700}
_VOLTAGES_MV = (230_600, 231_200, 230_900)  # without load
_DROP_UV_PER_W = 1_300  # 0.3 ohm from the transformer to the meter
_POWER_FACTOR_PER_MILLE = 950
_DC_PER_MILLE = 1_031  # an inverter loses 3 %
_OPERATING_STATE_MPPT = 4_000  # SunSpec model 103 `St`: 4, in thousandths
_REACTIVE_PER_MILLE = 329  # tan(acos 0.95)
_ENERGY_SHARES_PER_MILLE = (400, 330, 270)
_FREQUENCY_MHZ = 50_000
_FREQUENCY_SWING_MHZ = 20  # the European grid's everyday range
_FREQUENCY_PERIOD_MS = 7 * household.MINUTE_MS


class FaultKind(enum.Enum):
    """How a meter misbehaves from a moment on."""

    RESET = "reset-after"  # its energy starts again, as that of a new meter
    NULL = "null-after"  # it has no valid value any more
    BACKWARDS = "backwards-after"  # its energy counts down
    STOP = "stop-after"  # it is switched off


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault from simulated time `start_ms` on."""

    kind: FaultKind
    start_ms: int


@dataclass(frozen=True, slots=True)
class Meter:
    """A meter that was installed, in working order, at `start_ms` of simulated time."""

    start_ms: int
    seed: int
    fault: Fault | None = None

    def measure(self, measures: tuple[Measure, ...], time_ms: int) -> dict[str, int | None]:
        """Return each quantity at simulated `time_ms`, as an integer at its scale.

        A quantity that this household has not is None.
        """
        if self._has(FaultKind.NULL, time_ms):
            return {one.name: None for one in measures}
        physical = self._physical(time_ms)
        if not any(one.name.startswith("energy_import") for one in measures):
            # An inverter: what the household would have used is what it has fed in.
            physical = {**physical, "energy_export_total": self.energy_mwh(time_ms)}
        return {one.name: _convert(physical.get(one.name), one) for one in measures}

    def energy_mwh(self, time_ms: int) -> int:
        """Return the energy register at simulated `time_ms`, in milliwatt-hours."""
        if self.fault is not None and self._has(FaultKind.RESET, time_ms):
            since = household.energy_mwh(self.fault.start_ms, time_ms, self.seed)
            return RESET_ENERGY_MWH + since
        if self.fault is not None and self._has(FaultKind.BACKWARDS, time_ms):
            top = household.energy_mwh(self.start_ms, self.fault.start_ms, self.seed)
            back = household.energy_mwh(self.fault.start_ms, time_ms, self.seed)
            return max(0, START_ENERGY_MWH + top - back)
        return START_ENERGY_MWH + household.energy_mwh(self.start_ms, time_ms, self.seed)

    def _has(self, kind: FaultKind, time_ms: int) -> bool:
        return self.fault is not None and self.fault.kind is kind and time_ms >= self.fault.start_ms

    def _physical(self, time_ms: int) -> Mapping[str, int]:
        """Return the quantities in thousandths of W, VA, var, V, A, Hz, Wh, or of one."""
        phases_w = household.phases_w(time_ms, self.seed)
        energy = self.energy_mwh(time_ms)
        values = {
            "frequency": _frequency_mhz(time_ms),
            "energy_import_total": energy,
            "energy_export_total": 0,
            "energy_total": energy,
            "power_dc": sum(phases_w) * _DC_PER_MILLE,
            "operating_state": _OPERATING_STATE_MPPT,
            **_LINE_VOLTAGES_MV,
        }
        for name, phase in _PHASES.items():
            values |= _suffixed(_circuit(phases_w[phase], phase), name)
            values[f"energy_import_{name}"] = energy * _ENERGY_SHARES_PER_MILLE[phase] // 1000
            values[f"energy_export_{name}"] = 0
        for name in ("power_active", "power_apparent", "power_reactive", "current"):
            values[f"{name}_total"] = sum(values[f"{name}_{phase}"] for phase in _PHASES)
        values["power_factor_total"] = _POWER_FACTOR_PER_MILLE
        values["voltage_average"] = sum(values[f"voltage_{phase}"] for phase in _PHASES) // 3
        return values


def _circuit(power_w: int, phase: int) -> dict[str, int]:
    voltage_mv = _VOLTAGES_MV[phase] - power_w * _DROP_UV_PER_W // 1000
    apparent_mva = power_w * 1_000_000 // _POWER_FACTOR_PER_MILLE
    return {
        "voltage": voltage_mv,
        "current": apparent_mva * 1000 // voltage_mv,
        "power_active": power_w * 1000,
        "power_apparent": apparent_mva,
        "power_reactive": power_w * _REACTIVE_PER_MILLE,
        "power_factor": _POWER_FACTOR_PER_MILLE,
    }


def _suffixed(values: dict[str, int], suffix: str) -> dict[str, int]:
    return {f"{name}_{suffix}": value for name, value in values.items()}


def _frequency_mhz(time_ms: int) -> int:
    """A triangle wave: the grid drifts slowly around its nominal frequency."""
    half = _FREQUENCY_PERIOD_MS // 2
    distance = abs(time_ms % _FREQUENCY_PERIOD_MS - half)  # half .. 0 .. half
    return _FREQUENCY_MHZ - _FREQUENCY_SWING_MHZ + 2 * _FREQUENCY_SWING_MHZ * distance // half


def _convert(thousandths: int | None, measure: Measure) -> int | None:
    """Return thousandths of a plain unit as an integer at the measure's unit and scale."""
    if thousandths is None:
        return None
    exponent = -3 - _PREFIX_EXPONENTS.get(measure.unit, 0) - measure.scale
    factor: int = 10 ** abs(exponent)
    return thousandths * factor if exponent >= 0 else thousandths // factor
