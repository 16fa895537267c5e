"""Keeps keys out of what the kernel writes or shows of this process."""

import ctypes
import os
import resource

from gateway.errors import AgentError

_PR_SET_DUMPABLE = (
    4  # prctl(2): no core dump, no ptrace by the same user, /proc/PID belongs to root
)


def forbid_memory_dumps() -> None:
    """Make this process undumpable for its whole life; raise `AgentError` where it cannot be."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        reason = os.strerror(ctypes.get_errno())
        raise AgentError(f"cannot forbid memory dumps of the SmartAgent: {reason}")
