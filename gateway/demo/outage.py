"""The act in which a gateway is killed: the other three go on, and it comes back to the same chain."""

import functools
import time
from collections.abc import Callable

from rich.console import Console

from gateway.app.operator import Operator
from gateway.demo.neighbours import NAMES, VICTIM, Neighbours
from gateway.demo.patience import PATIENCE_S, compute_ask_timeout_s
from gateway.demo.screen import View
from gateway.errors import GatewayError, MessagingError
from gateway.model.ledger_api import BlockReply, StatusReply

_HOUR_MS = 3_600_000
KILL_AT_MS = 6 * _HOUR_MS  # of the metered day
RETURN_AT_MS = 14 * _HOUR_MS
_POLL_S = 0.3


class Outage:
    """Kills one gateway in the course of the day, brings it back, and tells what came of it."""

    def __init__(self, neighbours: Neighbours, view: View) -> None:
        self._neighbours = neighbours
        self._view = view
        self._height_at_kill: int | None = None
        self._blocks_without = 0

    @property
    def is_over(self) -> bool:
        """Whether blocks became final without it, and it was started again."""
        return self._blocks_without > 0

    def advance(self, metered_ms: int) -> None:
        """Do what is due after so much of the day; `view.height` is up to date."""
        view = self._view
        if self._height_at_kill is None and metered_ms >= KILL_AT_MS:
            self._neighbours.kill_one()
            self._height_at_kill = view.height
            view.step = f"killed the gateway {VICTIM!r} with SIGKILL: the others go on"
        elif (
            self._height_at_kill is not None
            and not self.is_over
            and metered_ms >= RETURN_AT_MS
            and view.height > self._height_at_kill
        ):
            self._blocks_without = view.height - self._height_at_kill
            self._neighbours.bring_back()
            view.step = f"{VICTIM!r} is started again and catches up"
        view.gateways = f"{1 + self._neighbours.alive} of {1 + len(NAMES)}"

    def conclude(self, operator: Operator, console: Console) -> None:
        """Wait until all four have the newest block, and say so; raises `GatewayError` otherwise."""
        target = operator.ask("status", {}, StatusReply).height
        block = _wait_for_block(
            operator.gateway,
            target,
            lambda _: operator.ask("block", {"height": target}, BlockReply),
        )
        for name in NAMES:
            ask = functools.partial(self._neighbours.ask_for_block, name, target)
            if _wait_for_block(name, target, ask).hash != block.hash:
                raise GatewayError(
                    f"the gateway {name!r} has another block {target}: a fault of ours"
                )
        console.print(
            f"\n[bold]Four gateways, one chain.[/bold] {VICTIM!r} was killed at block "
            f"{self._height_at_kill}; the other three made {self._blocks_without} blocks final without "
            f"it. It came back, and all four have the same block {target} ({block.hash[:16]}...)."
        )


def _wait_for_block(name: str, height: int, ask: Callable[[float], BlockReply]) -> BlockReply:
    """Ask, with a patience in seconds each time, until the block is there with its certificate."""
    started, waited_s = time.perf_counter(), 0.0
    while True:
        try:
            return ask(compute_ask_timeout_s(waited_s))
        except MessagingError as error:
            waited_s = time.perf_counter() - started
            if waited_s > PATIENCE_S:
                raise GatewayError(
                    f"the gateway {name!r} has no block {height} after {waited_s:.0f} s: {error}"
                ) from None
        time.sleep(_POLL_S)
