"""The service side of sd_notify(3): readiness, status and watchdog over a datagram socket.

Speaks to systemd, to `gateway.supervision`, and to nobody when the environment names no socket.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Mapping

_STATUS_LENGTH_MAX = 200
_PINGS_PER_TIMEOUT = 2  # as sd_watchdog_enabled(3) recommends

_log = logging.getLogger(__name__)


class Notifier:
    """Tells the service manager how the process is; never raises and never blocks."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        path = environ.get("NOTIFY_SOCKET", "")
        # "@" names a socket in the abstract namespace, whose address starts with a zero byte.
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self._watchdog_interval_s = _watchdog_interval_s(environ)

    @property
    def watchdog_interval_s(self) -> float | None:
        """How often to ping: half the manager's timeout, or None when it expects no pings."""
        return self._watchdog_interval_s if self._address else None

    def ready(self, status: str = "running") -> None:
        """Start-up is finished; `status` is one line for people."""
        self._send(f"READY=1\nSTATUS={_one_line(status)}")

    def status(self, text: str) -> None:
        """Tell in one line what the process does."""
        self._send(f"STATUS={_one_line(text)}")

    def watchdog(self) -> None:
        """The process is healthy now."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """The process is ending on purpose."""
        self._send("STOPPING=1")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
        try:
            with socket.socket(socket.AF_UNIX, kind) as connection:
                connection.sendto(text.encode(), self._address)
        except OSError as error:
            _log.warning("cannot notify the service manager: %s", error)


async def run_watchdog(notifier: Notifier, is_healthy: Callable[[], bool]) -> None:
    """Ping for as long as `is_healthy`; return at once when no pings are expected.

    An unhealthy process stays silent, so the manager restarts it; a hung event loop cannot ping.
    """
    interval_s = notifier.watchdog_interval_s
    if interval_s is None:
        return
    was_healthy = True
    while True:
        healthy = is_healthy()
        if healthy:
            notifier.watchdog()
        elif was_healthy:
            _log.error("not healthy: watchdog pings withheld, the service manager will restart us")
        was_healthy = healthy
        await asyncio.sleep(interval_s)


def _watchdog_interval_s(environ: Mapping[str, str]) -> float | None:
    timeout_us = environ.get("WATCHDOG_USEC", "")
    if not (timeout_us.isascii() and timeout_us.isdigit()) or int(timeout_us) == 0:
        return None
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None  # meant for another process of this service
    return int(timeout_us) / 1_000_000 / _PINGS_PER_TIMEOUT


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_STATUS_LENGTH_MAX]
