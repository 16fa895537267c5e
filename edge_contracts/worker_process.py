"""The ledger's hold on its contract worker: started on demand, fenced by the clock, retired in time.

Rule 1: a worker that is late, dead or talks nonsense is killed, and its call has no result.
Rule 2: one call at a time; a worker serves a limited number and then makes room for a fresh one.
"""

import contextlib
import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from edge_contracts.messages import (
    BrokenChannelError,
    CallEnded,
    Channel,
    FromWorker,
    HostReply,
    HostRequest,
    Ready,
    RunCall,
)
from ledger.errors import ExecutorError
from ledger.ports import Clock

CALLS_PER_WORKER = 1_000
BUSY_MS_PER_WORKER = 200_000  # well below the worker's own limit of CPU seconds
START_TIMEOUT_S = 20.0  # a Raspberry Pi that is booting imports slowly
# The fence is for a machine or a worker in trouble; gas ends contracts. 20 times slower than gas
# takes on a Raspberry Pi 3, plus a pause that any loaded machine may take.
DEADLINE_BASE_MS = 5_000
GAS_PER_MS_MIN = 1_000
EXIT_TIMEOUT_S = 5.0
EXIT_NOTICE_S = 0.2  # a socket closes a moment before its process has ended

Serve = Callable[[HostRequest], HostReply]

# The worker gets this process's own import path, however the package was installed.
_BOOT = (
    "import sys; sys.path[:] = sys.argv[2].splitlines(); "
    "from edge_contracts.worker import main; main(int(sys.argv[1]))"
)

logger = logging.getLogger(__name__)


class WorkerProcess:
    """At most one running worker."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel[FromWorker] | None = None
        self._calls = 0
        self._busy_ms = 0

    @property
    def process_id(self) -> int | None:
        """The running worker's process id."""
        return None if self._process is None else self._process.pid

    def run(self, call: RunCall, serve: Serve) -> CallEnded:
        """Run one call, serving its requests; raise `ExecutorError` when the worker fails."""
        with self._lock:
            started_ms = self._now_ms()
            deadline_ms = started_ms + DEADLINE_BASE_MS + call.gas_limit // GAS_PER_MS_MIN
            try:
                channel = self._acquire()
                return self._converse(channel, call, serve, deadline_ms)
            except BrokenChannelError as error:
                detail = f"contract worker failed: {error}{self._describe_exit()}"
                raise ExecutorError(detail) from None
            except BaseException:
                self._kill()  # the worker is in the middle of a call
                raise
            finally:
                self._busy_ms += self._now_ms() - started_ms

    def close(self) -> None:
        """End the worker, if one runs."""
        with self._lock:
            self._kill()

    def _converse(
        self, channel: Channel[FromWorker], call: RunCall, serve: Serve, deadline_ms: int
    ) -> CallEnded:
        channel.send(call, self._remaining_s(deadline_ms))
        while True:
            match channel.receive(self._remaining_s(deadline_ms)):
                case CallEnded() as ended:
                    return ended
                case HostRequest() as request:
                    channel.send(serve(request), self._remaining_s(deadline_ms))
                case Ready():
                    raise BrokenChannelError("ready in the middle of a call")

    def _acquire(self) -> Channel[FromWorker]:
        is_spent = self._calls >= CALLS_PER_WORKER or self._busy_ms >= BUSY_MS_PER_WORKER
        has_died = self._process is not None and self._process.poll() is not None
        if is_spent or has_died:
            self._kill()
        if self._channel is None:
            self._channel = self._start()
        self._calls += 1
        return self._channel

    def _start(self) -> Channel[FromWorker]:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                _command(theirs.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={"LC_ALL": "C"},
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # Ctrl-C is for the ledger, which closes its workers
            )
        channel: Channel[FromWorker] = Channel(ours, FromWorker)
        self._channel = channel
        match channel.receive(START_TIMEOUT_S):
            case Ready(is_filtered=True):
                pass
            case Ready():
                logger.warning("contract worker runs without a system call filter on this machine")
            case _:
                raise BrokenChannelError("did not say that it is ready")
        return channel

    def _describe_exit(self) -> str:
        """Kill the worker and say how it had ended by itself, if it had."""
        status = None
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):  # late rather than dead
                status = self._process.wait(EXIT_NOTICE_S)
        self._kill()
        return "" if status is None else f" (exit status {status})"

    def _kill(self) -> None:
        if self._channel is not None:
            self._channel.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait(EXIT_TIMEOUT_S)
        self._process = self._channel = None
        self._calls = self._busy_ms = 0

    def _remaining_s(self, deadline_ms: int) -> float:
        remaining_ms = deadline_ms - self._now_ms()
        if remaining_ms <= 0:
            raise BrokenChannelError("the deadline has passed")
        return remaining_ms / 1_000

    def _now_ms(self) -> int:
        return self._clock.monotonic_ns() // 1_000_000


def _command(file_descriptor: int) -> list[str]:
    paths = [str(Path(entry).resolve()) for entry in sys.path]
    arguments = [_BOOT, str(file_descriptor), "\n".join(paths)]
    return [sys.executable, "-I", "-S", "-c", *arguments]
