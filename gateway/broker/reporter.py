"""Tells people why a message was refused: a line in the log, and a message to the device.

A device that misbehaves a thousand times a second must not fill the log: one line per device and
minute, with the number of those left out.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from gateway.clock import Clock
from gateway.errors import Rejected
from gateway.model import topics
from gateway.model.principal import Principal, PrincipalKind

_log = logging.getLogger(__name__)

_LOG_INTERVAL_NS = 60 * 1_000_000_000


@dataclass(slots=True)
class _LogState:
    logged_at_ns: int
    left_out: int = 0


class RefusalReporter:
    """The broker's `Reporter`; `publish` sends to the broker's own subscribers."""

    def __init__(self, gateway: str, publish: Callable[[str, bytes], None], clock: Clock) -> None:
        self._gateway = gateway
        self._publish = publish
        self._clock = clock
        self._log_states: dict[str, _LogState] = {}

    def rejected(self, principal: Principal, topic: str, refusal: Rejected) -> None:
        """Log a reading that was not stored, and tell the device on its `rejected` topic."""
        self._log_seldom(principal, f"a message on {topic} was not stored: {refusal}")
        if principal.kind is PrincipalKind.DEVICE and topics.is_name(principal.name):
            notice = {"reason": refusal.reason.value, "detail": refusal.detail, "topic": topic}
            rejected_topic = topics.device(self._gateway, principal.name, "rejected")
            self._publish(rejected_topic, msgspec.json.encode(notice))

    def denied(self, principal: Principal, action: str, topic: str) -> None:
        """Log something that the principal's filters do not allow."""
        self._log_seldom(principal, f"it may not {action} {topic}")

    def _log_seldom(self, principal: Principal, text: str) -> None:
        now_ns = self._clock.monotonic_ns()
        state = self._log_states.get(principal.name)
        if state is not None and now_ns - state.logged_at_ns < _LOG_INTERVAL_NS:
            state.left_out += 1
            return
        left_out = f" (and {state.left_out} more since the last such line)" if state else ""
        # Topics come from outside: !r keeps control characters out of the log.
        _log.warning("%s %s: %r%s", principal.kind.value, principal.name, text, left_out)
        self._log_states[principal.name] = _LogState(now_ns)
