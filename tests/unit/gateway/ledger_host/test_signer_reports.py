import asyncio
import threading
from typing import cast

from gateway.errors import AgentError
from gateway.ledger_host.signer_reports import TipReports, report_interval_s
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


async def test_it_reports_again_and_again_and_tells_each_change_once(caplog):
    caplog.set_level("INFO")
    agent = Agent()
    tips = iter([TipReport(is_at_tip=False, agents=4)])
    reports = TipReports(
        cast("AgentClient", agent),
        lambda: next(tips, TipReport(is_at_tip=True, agents=4)),
        interval_s=0,
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


def test_it_reports_twice_a_slot_and_not_more_often_than_twice_a_second():
    assert report_interval_s(3_000) == 1.5
    assert report_interval_s(100) == 0.5
