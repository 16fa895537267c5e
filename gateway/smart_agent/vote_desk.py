"""Everything a vote must pass before the key: alarm, listening, rate limit, sign guard, in this order."""

import logging

from gateway.clock import Clock
from gateway.smart_agent.alarm import AlarmFile
from gateway.smart_agent.guard import SignGuard
from gateway.smart_agent.identity_messages import LeaseStanding
from gateway.smart_agent.judge import VoteRequest
from gateway.smart_agent.messages import Refused, RefusedReason
from gateway.smart_agent.rate_limit import RateLimit
from gateway.smart_agent.vote_watch import Listening, TipReport, VoteMemory
from ledger.params import SLOT_MS

# Three votes a slot at twice the normal pace; a lab's shorter slots raise it in proportion.
VOTES_PER_SLOT_MAX = 18
VOTES_PER_SECOND_MIN = VOTES_PER_SLOT_MAX * 1000 // SLOT_MS
BURST_S = 3

_NS_PER_S = 1_000_000_000

_log = logging.getLogger(__name__)


class VoteDesk:
    """Admits votes one at a time."""

    def __init__(self, guard: SignGuard, alarm: AlarmFile, slot_ms: int, clock: Clock) -> None:
        self._guard = guard
        self._alarm = alarm
        self._clock = clock
        self._listening = Listening(slot_ms)
        self._memory = VoteMemory(guard.record)
        self._unsigned = 0  # votes refused while listening, since that began
        self._told = ""  # what is waited for, as the log has it
        per_second = max(VOTES_PER_SECOND_MIN, VOTES_PER_SLOT_MAX * 1000 // slot_ms)
        self._rate = RateLimit(interval_ns=_NS_PER_S // per_second, burst=per_second * BURST_S)

    @property
    def standing(self) -> str:
        """Whether votes are signed: `voting`, or why not."""
        return self._alarm.line or self._why_not() or "voting"

    def admit(self, vote: VoteRequest) -> Refused | None:
        """Make `vote` part of the durable record and return None, or return why it is not signed.

        Raises `AgentError` when the record cannot be made durable.
        """
        if self._alarm.line is not None:
            return Refused(RefusedReason.ALARM, self._alarm.line)
        waiting = self._why_not()
        if waiting is not None:
            self._note_unsigned(waiting)
            return Refused(RefusedReason.LISTENING, waiting)
        if self._told:
            self._tell_end()
        if not self._rate.admit(self._clock.monotonic_ns()):
            return Refused(
                RefusedReason.RATE_LIMIT, "more votes a second than this chain's slots need"
            )
        refusal = self._guard.admit(vote)
        if refusal is not None:
            return Refused(RefusedReason.SIGN_GUARD, refusal.value)
        self._memory.remember(vote)
        return None

    def report_tip(self, report: TipReport) -> None:
        """Hear how far the ledger is."""
        was_waiting = self._why_not() is not None
        self._listening.report(report, self._clock.monotonic_ns())
        if was_waiting and self._why_not() is None:
            self._tell_end()

    def report_lease(self, standing: LeaseStanding) -> None:
        """Hear who holds this identity."""
        self._listening.report_lease(
            self._clock.monotonic_ns(),
            is_taken=standing is LeaseStanding.TAKEN,
            is_twin=standing is LeaseStanding.TWIN,
        )

    def is_strange(self, vote: VoteRequest) -> bool:
        """Tell whether a vote that bears our valid signature was never given by this agent."""
        return not self._memory.is_ours(vote)

    def raise_alarm(self, vote: VoteRequest) -> None:
        """Vote no more, now and after a restart."""
        self._alarm.raise_for(vote)
        _log.critical("%s", self._alarm.line)

    def _note_unsigned(self, waiting: str) -> None:
        """Count a vote that is not signed; log only what is waited for, once: votes come several a slot."""
        self._unsigned += 1
        if waiting != self._told:
            self._told = waiting
            _log.warning("votes are not signed: %s", waiting)

    def _tell_end(self) -> None:
        _log.info("listened long enough: votes from now on, %d were refused", self._unsigned)
        self._unsigned, self._told = 0, ""

    def _why_not(self) -> str | None:
        return self._listening.why_not(self._clock.monotonic_ns())
