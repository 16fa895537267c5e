"""Tells the SmartAgent, again and again, how far the ledger is: after a start it votes only then."""

import asyncio
import logging
from collections.abc import Callable

from gateway.errors import AgentError
from gateway.smart_agent.client import AgentClient
from gateway.smart_agent.vote_watch import TipReport

REPORT_INTERVAL_MIN_S = 0.5

_log = logging.getLogger(__name__)


def report_interval_s(slot_ms: int) -> float:
    """Return how often to report: the SmartAgent may have been restarted, and half a slot is no loss."""
    return max(REPORT_INTERVAL_MIN_S, slot_ms / 2_000)


class TipReports:
    """One report each interval; `tip` says how far the ledger is."""

    def __init__(self, agent: AgentClient, tip: Callable[[], TipReport], interval_s: float) -> None:
        self._agent = agent
        self._tip = tip
        self._interval_s = interval_s
        self._standing = ""

    async def run(self) -> None:
        """Report until cancelled; a SmartAgent that is away is asked again."""
        while True:
            await self.report()
            await asyncio.sleep(self._interval_s)

    async def report(self) -> None:
        """Report once, now."""
        tip = self._tip()
        try:
            standing = await asyncio.to_thread(
                lambda: self._agent.report_tip(is_at_tip=tip.is_at_tip, agents=tip.agents)
            )
        except AgentError as error:
            standing = str(error)
        if standing != self._standing:
            _log.log(
                logging.INFO if standing == "voting" else logging.WARNING, "votes: %s", standing
            )
            self._standing = standing
