"""File descriptors: connections must never use up what the databases need."""

import logging
import resource
from pathlib import Path

from gateway.errors import BrokerError

_log = logging.getLogger(__name__)

_LIMIT_MAX = 65_536  # far above what is ever needed; some systems allow a thousand million
_FREE_FOR_FILES = 128  # databases, their journals, child processes' pipes, device connections


def room_for_connections(wanted: int) -> int:
    """Raise this process's limit of open files if it may be; return how many connections fit.

    The result is at most `wanted`. Raises `BrokerError` when nothing fits.
    """
    limit = _raise_limit()
    open_now = sum(1 for _ in Path("/proc/self/fd").iterdir())
    room = limit - open_now - _FREE_FOR_FILES
    if room < 1:
        raise BrokerError(
            f"the MQTT broker cannot start: the limit of {limit} open files leaves no room for "
            "connections; raise it (LimitNOFILE= in the systemd unit, or ulimit -n)"
        )
    if room < wanted:
        _log.warning(
            "the limit of %d open files leaves room for %d of %d MQTT connections; "
            "raise it (LimitNOFILE= in the systemd unit, or ulimit -n)",
            limit,
            room,
            wanted,
        )
    return min(room, wanted)


def _raise_limit() -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = _LIMIT_MAX if hard == resource.RLIM_INFINITY else min(hard, _LIMIT_MAX)
    if soft == resource.RLIM_INFINITY or soft >= allowed:
        return _LIMIT_MAX if soft == resource.RLIM_INFINITY else soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed
