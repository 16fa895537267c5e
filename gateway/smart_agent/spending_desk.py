"""Where payments are admitted, and where the owner's word counts: a passphrase that unseals a file.

Rule 1: the policy changes, and a payment is approved, only with the passphrase. Wrong ones are slowed down.
Rule 2: without a passphrase set there is no owner: the policy in force stands, and nothing can be approved.
Rule 3: the desk's time starts at the clock, goes on with the monotonic one, and is never before the account's.
"""

from pathlib import Path

from gateway.clock import Clock
from gateway.errors import AgentError
from gateway.smart_agent.messages import Refused, RefusedReason
from gateway.smart_agent.sealed_key import KdfLimits, create_sealed_key, open_sealed_key
from gateway.smart_agent.spending.book import SpendingBook
from gateway.smart_agent.spending.payment import Payment
from gateway.smart_agent.spending.rules import Over, SpendingPolicy, judge, roll
from gateway.smart_agent.spending_messages import (
    ApprovePayment,
    AskSpending,
    ChangeSpending,
    Spending,
    SpendingRequest,
)

OWNER_FILE = "owner.key"
APPROVAL_NS = 600 * 1_000_000_000  # between the person's word and the signature
APPROVALS_MAX = 16
WAIT_NS_FIRST = 2_000_000_000  # after a wrong passphrase; doubled by each further one
WAIT_NS_MAX = 300 * 1_000_000_000
# Checked while votes wait: Argon2id's interactive cost, about a tenth of a second on a small machine.
OWNER_LIMITS = KdfLimits(2, 64 * 1024 * 1024)


def set_owner(folder: Path, passphrase: bytes, limits: KdfLimits = OWNER_LIMITS) -> None:
    """Let `passphrase` be the owner's word for an agent that does not run; never in place of another."""
    path = folder / OWNER_FILE
    if path.exists():
        raise AgentError(f"{path} is there: the wallet has an owner's passphrase already")
    create_sealed_key(path, passphrase, limits)


class SpendingDesk:
    """Admits payments one at a time."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._owner = folder / OWNER_FILE
        self._book = SpendingBook(folder)
        self._clock = clock
        self._start_ms = max(clock.now_ms(), self._book.spent.now_ms)
        self._start_ns = clock.monotonic_ns()
        self._approvals: dict[bytes, int] = {}
        self._wrong = 0
        self._closed_until_ns = 0

    def admit(self, payment: Payment) -> Refused | None:
        """Note a payment durably and return None, or why it is not signed; raises `AgentError`."""
        now_ns = self._clock.monotonic_ns()
        until_ns = self._approvals.get(payment.id)
        is_approved = until_ns is not None and now_ns < until_ns
        verdict = judge(
            self._book.policy, self._book.spent, payment, self._now_ms(), is_approved=is_approved
        )
        if isinstance(verdict, Over):
            detail = f"{verdict.detail}: the owner changes that with `smartshare wallet policy`"
            return Refused(RefusedReason.SPENDING, detail)
        if verdict != self._book.spent:
            self._book.keep_spent(verdict)
        self._approvals.pop(payment.id, None)
        return None

    def answer(self, request: SpendingRequest) -> Spending | Refused:
        """Answer a request about the policy; raises `AgentError` where it cannot be kept."""
        match request:
            case AskSpending():
                return self._state()
            case ChangeSpending():
                return self._check_owner(request.passphrase) or self._change(request.policy)
            case ApprovePayment():
                return self._check_owner(request.passphrase) or self._approve(request.payment)

    def _state(self) -> Spending:
        spent = roll(self._book.spent, self._now_ms())
        return Spending(self._book.policy, spent, self._owner.exists())

    def _change(self, policy: SpendingPolicy) -> Spending:
        self._book.keep_policy(policy)
        return self._state()

    def _approve(self, payment: bytes) -> Spending:
        if len(self._approvals) >= APPROVALS_MAX:
            del self._approvals[next(iter(self._approvals))]
        self._approvals[payment] = self._clock.monotonic_ns() + APPROVAL_NS
        return self._state()

    def _check_owner(self, passphrase: bytes) -> Refused | None:
        if not self._owner.exists():
            detail = "no owner's passphrase is set: stop the node and run `smartshare wallet owner`"
            return Refused(RefusedReason.NOT_OWNER, detail)
        now_ns = self._clock.monotonic_ns()
        if now_ns < self._closed_until_ns:
            seconds = -(-(self._closed_until_ns - now_ns) // 1_000_000_000)
            return Refused(RefusedReason.RATE_LIMIT, f"wrong passphrase before: wait {seconds} s")
        try:
            open_sealed_key(self._owner, passphrase)
        except AgentError:
            self._closed_until_ns = now_ns + min(WAIT_NS_FIRST << self._wrong, WAIT_NS_MAX)
            self._wrong = min(self._wrong + 1, 16)
            return Refused(RefusedReason.NOT_OWNER, "this is not the owner's passphrase")
        self._wrong = 0
        return None

    def _now_ms(self) -> int:
        return self._start_ms + (self._clock.monotonic_ns() - self._start_ns) // 1_000_000
