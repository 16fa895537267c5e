"""Reports agents that signed two votes that contradict each other, as the ledger process saw it.

The metering account pays the small fee; the chain gives the reporter a share of what the culprit loses.
"""

from gateway.app.ledger_link import LedgerLink
from gateway.app.transactions import TransactionAuthor
from gateway.clock import Clock
from gateway.model.ledger_api import CulpritsReply
from ledger.codec.canonical import Decoder
from ledger.types.transaction import ReportEvidence

PURPOSE_EVIDENCE = "evidence"
INTERVAL_NS = 10_000_000_000  # evidence counts for three weeks: there is no hurry
AGAIN_NS = 300_000_000_000  # by then a report is in a block, or another one is due

_reports = Decoder(ReportEvidence)


class Witness:
    """Asks the ledger now and then; each culprit is reported until the chain has convicted it."""

    def __init__(self, author: TransactionAuthor, ledger: LedgerLink, clock: Clock) -> None:
        self._author = author
        self._ledger = ledger
        self._clock = clock
        self._due_ns = 0
        self._reported_ns: dict[bytes, int] = {}

    async def round(self) -> None:
        """Do what is due; raises `MessagingError` or `AgentError` when somebody is away."""
        now_ns = self._clock.monotonic_ns()
        if now_ns < self._due_ns:
            return
        answer = await self._ledger.call("culprits", {}, CulpritsReply)
        reports = [_reports.decode(bytes.fromhex(text)) for text in answer.reports]
        for report in reports:
            last_ns = self._reported_ns.get(report.agent)
            if last_ns is None or now_ns - last_ns >= AGAIN_NS:
                await self._author.issue(report, PURPOSE_EVIDENCE)
                self._reported_ns[report.agent] = now_ns
        culprits = {report.agent for report in reports}
        self._reported_ns = {a: ns for a, ns in self._reported_ns.items() if a in culprits}
        self._due_ns = now_ns + INTERVAL_NS
