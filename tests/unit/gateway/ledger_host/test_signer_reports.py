import asyncio
import threading
from typing import cast

from gateway.errors import AgentError
from gateway.ledger_host import signer_reports
from gateway.ledger_host.signer_reports import TipReports
from gateway.smart_agent.client import AgentClient
from gateway.smart_agent.vote_watch import TipReport


class Agent:
    """Answers in turn; `is_enough` is set at the sixth report."""

    def __init__(self):
        self.heard = []
        self.is_enough = threading.Event()
        self._answers = ["listens first", AgentError("is not running")]

    def report_tip(self, *, is_at_tip, agents):
        self.heard.append((is_at_tip, agents))
        if len(self.heard) == 6:
            self.is_enough.set()
        answer = self._answers.pop(0) if self._answers else "voting"
        if isinstance(answer, AgentError):
            raise answer
        return answer


async def test_it_reports_again_and_again_and_tells_each_change_once(monkeypatch, caplog):
    caplog.set_level("INFO")
    monkeypatch.setattr(signer_reports, "REPORT_INTERVAL_S", 0)
    agent = Agent()
    tips = iter([TipReport(is_at_tip=False, agents=4)])
    reports = TipReports(
        cast("AgentClient", agent), lambda: next(tips, TipReport(is_at_tip=True, agents=4))
    )

    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(reports.run())
        assert await asyncio.to_thread(agent.is_enough.wait, 20)
        running.cancel()

    assert agent.heard[:3] == [(False, 4), (True, 4), (True, 4)]
    assert [record.getMessage() for record in caplog.records] == [
        "votes: listens first",
        "votes: is not running",
        "votes: voting",
    ]
