"""Tells people why a message was refused: a line in the log, and a message to the device.

A device that misbehaves a thousand times a second must not fill the log: one line per device and
minute, with the number of those left out.
"""

import logging
from collections.abc import Callable

import msgspec

from gateway.broker.codec.reasons import Reason
from gateway.broker.seldom_log import SeldomLog
from gateway.clock import Clock
from gateway.errors import GatewayError, Rejected
from gateway.model import topics
from gateway.model.principal import Principal, PrincipalKind

_log = logging.getLogger(__name__)


class RefusalReporter:
    """The broker's `Reporter`; `publish` sends to the broker's own subscribers."""

    def __init__(self, gateway: str, publish: Callable[[str, bytes], None], clock: Clock) -> None:
        self._gateway = gateway
        self._publish = publish
        self._seldom = SeldomLog(_log, clock)

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

    def closed(self, principal: Principal, reason: str) -> None:
        """Log that the broker itself ended a session."""
        self._log_seldom(principal, f"a session was closed: {reason}")

    def throttled(self, principal: Principal) -> None:
        """Log that a device sends too much."""
        self._log_seldom(principal, "it sends more than a device may: it is slowed down")

    def refused(self, address: str, reason: Reason) -> None:
        """Log a refused CONNECT: one line a minute for all of them, strangers' doing."""
        why = reason.name.lower().replace("_", " ")
        self._seldom.warn("CONNECT", f"refused from {address}: {why}")

    def authenticator_failed(self, error: Exception) -> None:
        """Log why nobody can be verified."""
        text = str(error) if isinstance(error, GatewayError) else repr(error)
        self._seldom.warn("authenticator", f"{text}; connections are refused")

    def _log_seldom(self, principal: Principal, text: str) -> None:
        self._seldom.warn(f"{principal.kind.value} {principal.name}", text)
