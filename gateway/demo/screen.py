"""The live picture of the demonstration: what comes in, what becomes final, who pays whom."""

import math
import time
from collections import deque
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from gateway.app.amounts import format_ssp

SPARK = " ▁▂▃▄▅▆▇█"
SPARK_COLUMNS = 60
PLAIN_LINE_EVERY_S = 2.0  # where there is no terminal, a line now and then is enough


@dataclass
class View:
    """What the screen shows. Amounts are base units, energy is watt-hours, power is watts."""

    day_time: str = "--:--"
    step: str = "starting"
    gateways: str = "4 of 4"
    readings: int = 0
    readings_per_second: int = 0
    plug_messages: int = 0
    power_w: int = 0
    height: int = 0
    finality_ms: int = 0
    anchored: int = 0
    session: str = "not open"
    energy_wh: int = 0
    cost: int = 0
    deposit: int = 0
    consumer: int = 0
    provider: int = 0
    powers: deque[int] = field(default_factory=lambda: deque(maxlen=SPARK_COLUMNS))


def sparkline(values: "deque[int]") -> str:
    """Return the values as a row of block characters: the square root, so that peaks hide nothing."""
    top = max(values, default=0) or 1
    steps = len(SPARK) - 1
    return "".join(SPARK[math.isqrt(max(0, value) * steps**2 // top)] for value in values)


class Screen:
    """Shows a `View`: live on a terminal, as occasional lines elsewhere."""

    def __init__(self, view: View, console: Console | None = None) -> None:
        self.view = view
        self.console = console or Console()
        self._live = Live(console=self.console, refresh_per_second=8, get_renderable=self._render)
        self._next_line = 0.0
        self._last_step = ""

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.console.is_terminal:
            self._live.__exit__(kind, error, trace)

    def refresh(self) -> None:
        """Show the view's present content."""
        if self.console.is_terminal:
            return  # the live display redraws by itself
        now = time.perf_counter()
        if self.view.step == self._last_step and now < self._next_line:
            return
        self._last_step = self.view.step
        self._next_line = now + PLAIN_LINE_EVERY_S
        view = self.view
        self.console.print(
            f"[{view.day_time}] {view.step}: {view.readings} readings, block {view.height}, "
            f"{view.gateways} gateways, {view.energy_wh} Wh metered, {format_ssp(view.cost)} SSP",
            highlight=False,
            soft_wrap=True,
        )

    def _render(self) -> Panel:
        view = self.view
        left = _rows(
            ("day time (sped up)", view.day_time),
            ("readings stored", f"{view.readings}  ({view.readings_per_second}/s)"),
            ("plug messages acknowledged", str(view.plug_messages)),
            ("power now", f"{view.power_w} W"),
            ("readings anchored", str(view.anchored)),
        )
        right = _rows(
            ("gateways alive", view.gateways),
            ("block height", str(view.height)),
            ("finality", f"{view.finality_ms} ms"),
            ("session", view.session),
            ("energy metered", f"{view.energy_wh} Wh"),
            ("cost so far", f"{format_ssp(view.cost)} of {format_ssp(view.deposit)} SSP"),
            ("consumer's balance", f"{format_ssp(view.consumer)} SSP"),
            ("provider's balance", f"{format_ssp(view.provider)} SSP"),
        )
        columns = Table.grid(padding=(0, 4))
        columns.add_row(left, right)
        power = Text(sparkline(view.powers), style="green", no_wrap=True)
        return Panel(
            Group(columns, Text(), power),
            title="[bold]Smartshare[/bold]",
            subtitle=view.step,
            border_style="cyan",
        )


def _rows(*rows: tuple[str, str]) -> Table:
    grid = Table.grid(padding=(0, 2))
    for label, value in rows:
        grid.add_row(Text(label, style="dim"), Text(value, style="bold"))
    return grid
