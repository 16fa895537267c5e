"""A contract worker: the child process that runs Lua, one call after another, each in a new state.

It is started by `worker_process`, gives up everything it does not need and then speaks frames.
"""

import contextlib
import socket
from pathlib import Path

from edge_contracts.confinement import confine
from edge_contracts.errors import ValueFormatError
from edge_contracts.host_api import HostFunctions
from edge_contracts.messages import (
    ERROR_LENGTH_MAX,
    BrokenChannelError,
    CallEnded,
    Channel,
    Ready,
    RunCall,
    ToWorker,
)
from edge_contracts.sandbox import Run, Sandbox, SandboxCall
from edge_contracts.values import decode_value, encode_value


def main(file_descriptor: int) -> None:
    """Serve calls on an inherited socket until the ledger closes it."""
    channel: Channel[ToWorker] = Channel(socket.socket(fileno=file_descriptor), ToWorker)
    _volunteer_for_oom()
    # Lua and the decoders load what they need on first use, which the filter would forbid later.
    _run(RunCall("return {}", "", b"\x80", b"\x80", (), 0, 10_000), channel)
    channel.send(Ready(is_filtered=confine()))
    while True:
        try:
            message = channel.receive()
        except BrokenChannelError:  # the ledger closed its end
            return
        assert isinstance(message, RunCall)
        channel.send(_run(message, channel))


def _volunteer_for_oom() -> None:
    # When the machine runs out of memory, a worker is what it can do without. Not every container
    # allows the choice, and nothing depends on it.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _run(message: RunCall, channel: Channel[ToWorker]) -> CallEnded:
    context = decode_value(message.context)
    assert isinstance(context, dict)
    sandbox = Sandbox()
    call = SandboxCall(
        source=message.source,
        method=message.method,
        args=decode_value(message.args),
        context=context,
        operations=message.operations,
        gas_used=message.gas_used,
        gas_limit=message.gas_limit,
    )
    return _describe(sandbox.run(call, HostFunctions(sandbox, channel).answer))


def _describe(run: Run) -> CallEnded:
    if run.status != "ok":
        return CallEnded(run.status, run.gas_used, error=run.error[:ERROR_LENGTH_MAX])
    try:
        return CallEnded(run.status, run.gas_used, result=encode_value(run.result))
    except ValueFormatError as error:
        return CallEnded("aborted", run.gas_used, error=f"the result: {error}")
