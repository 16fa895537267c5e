"""One identity, one running instance: what the agent signs depends on who holds its lease on the chain.

Rule 1: once the chain says that another instance holds the identity, or that this one runs twice, nothing
but a renewal of the lease is signed. Votes have the sign guard, session tokens let a peer say `cloned`.
Rule 2: a retired node signs nothing but with its wallet, whose funds stay its owner's.
Rule 3: a renewal is signed for this instance alone, with a number that is durable and grows.
"""

from gateway.smart_agent.identity_messages import LeaseStanding, ReportLease, RunningInstance
from gateway.smart_agent.instance import InstanceFile
from gateway.smart_agent.keys import Purpose
from gateway.smart_agent.messages import Refused, RefusedReason
from ledger.types.identity_bodies import RenewLease
from ledger.types.transaction import Transaction

UNCHECKED = "unchecked"


class LeaseDesk:
    """The instance and what is known of its standing, which no restart remembers."""

    def __init__(self, instance: InstanceFile) -> None:
        self._instance = instance
        self._report: ReportLease | None = None

    @property
    def running(self) -> RunningInstance:
        """The instance for whoever asks."""
        standing = UNCHECKED if self._report is None else self._report.standing.value
        return RunningInstance(self._instance.name, self._instance.renewal, standing)

    def report(self, report: ReportLease) -> None:
        """Take what the chain says. A retirement is for ever."""
        if self._report is None or self._report.standing is not LeaseStanding.RETIRED:
            self._report = report

    def admit(self, purpose: Purpose, transaction: Transaction | None) -> Refused | None:
        """Tell why a message (None: no transaction) is not signed now; a renewal is noted durably."""
        if transaction is not None and isinstance(transaction.body, RenewLease):
            return self._admit_renewal(transaction.body)
        if self._report is None or self._report.standing is LeaseStanding.HELD:
            return None
        if self._report.standing is LeaseStanding.RETIRED and purpose is Purpose.WALLET:
            return None
        return Refused(RefusedReason.NOT_HELD, self._report.detail)

    def _admit_renewal(self, body: RenewLease) -> Refused | None:
        if body.instance != self._instance.name:
            return Refused(RefusedReason.NOT_ALLOWED, "the lease is for another instance than this")
        if body.renewal <= self._instance.renewal:
            detail = f"renewal {body.renewal} was signed: the newest is {self._instance.renewal}"
            return Refused(RefusedReason.NOT_ALLOWED, detail)
        self._instance.take_renewal(body.renewal)
        return None
