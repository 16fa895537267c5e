"""Fills the demonstration's view from what the processes themselves say."""

from gateway.app.operator import Operator
from gateway.demo.contract import DEPOSIT, QUANTITY, Settlement
from gateway.demo.plug import PlugPublisher
from gateway.demo.screen import View
from gateway.demo.stage import DAY_MS, METER
from gateway.health import Health
from gateway.model.ledger_api import StatusReply
from gateway.pipeline.normalise import format_decimal
from gateway.readings.queries import ReadingsReader
from ledger.types.reading import Quantity, Reading

POWER = "power_active_total"


class Watcher:
    """Asks the processes and the contract, and keeps the session going after a pause."""

    def __init__(
        self, operator: Operator, plug: PlugPublisher, settlement: Settlement, view: View
    ) -> None:
        self.view = view
        self._operator = operator
        self._plug = plug
        self._settlement = settlement
        self._reader = ReadingsReader.open(settlement.home.readings)
        self._first: Reading | None = None

    def close(self) -> None:
        """Give the readings database back."""
        self._reader.close()

    def refresh(self) -> int:
        """Bring the view up to date; return the milliseconds of metered time in the session."""
        view = self.view
        health = self._operator.ask_gateway("health", {}, Health)
        chain = self._operator.ask("status", {}, StatusReply)
        view.readings, view.readings_per_second = health.readings, health.readings_per_second
        view.anchored, view.plug_messages = health.anchored, self._plug.acknowledged
        view.height, view.finality_ms = chain.height, chain.finality_ms
        newest = self._reader.last(METER, 1)
        if newest:
            self._show_reading(newest[0].reading)
        view.consumer = self._settlement.balance(self._settlement.consumer.address)
        view.provider = self._settlement.balance(self._settlement.provider_address)
        return self._show_session() if self._settlement.session else 0

    def _show_reading(self, reading: Reading) -> None:
        minute = reading.gateway_time_ms % DAY_MS // 60_000
        self.view.day_time = f"{minute // 60:02d}:{minute % 60:02d}"
        power = find_quantity(reading, POWER)
        if power is not None and power.value is not None:
            self.view.power_w = int(format_decimal(power.value, power.scale).partition(".")[0])
            self.view.powers.append(self.view.power_w)

    def _show_session(self) -> int:
        view, session = self.view, self._settlement.state()
        view.session = str(session["state"])
        view.deposit = DEPOSIT
        total, sequence = session["total"], session.get("sequence")
        view.cost = total if isinstance(total, int) else 0
        if view.session == "paused":
            view.session = f"paused: {session['reason']!r}"
            self._settlement.resume()
        if not isinstance(sequence, int):
            return 0
        stored = self._reader.get(METER, sequence)
        if stored is None:
            return 0
        if self._first is None:
            self._first = stored.reading
        view.energy_wh = _energy_wh(stored.reading) - _energy_wh(self._first)
        return stored.reading.gateway_time_ms - self._first.gateway_time_ms


def find_quantity(reading: Reading, name: str) -> Quantity | None:
    """Return a reading's quantity by name."""
    return next((one for one in reading.quantities if one.name == name), None)


def _energy_wh(reading: Reading) -> int:
    energy = find_quantity(reading, QUANTITY)
    if energy is None or energy.value is None:
        return 0
    in_wh = format_decimal(energy.value, energy.scale + 3)  # the meter counts in kWh
    return int(in_wh.partition(".")[0])
