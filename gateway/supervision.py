"""Runs the Smartshare processes as children of one: `smartshare run` and the demonstration.

Children start in order, each after the one before said READY=1 (sd_notify(3) over a socket of its
own), are restarted with back-off when they end, and stop in reverse order. They die with us.
"""

import asyncio
import ctypes
import logging
import os
import signal
import socket
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

BACKOFF_MIN_S = 0.2
BACKOFF_MAX_S = 10.0
HEALTHY_AFTER_S = 60.0  # a child that ran this long starts again with the shortest back-off
STOP_TIMEOUT_S = 10.0  # from SIGTERM to SIGKILL

_NOTIFICATION_BYTES_MAX = 4096
_PR_SET_PDEATHSIG = 1  # prctl(2)
_SCM_CREDENTIALS = 2  # unix(7)
_UCRED = struct.Struct("3i")  # struct ucred: pid, uid, gid
# What a child inherits. Everything else, credentials and notify sockets above all, it does not.
_INHERITED = (
    "DBUS_SYSTEM_BUS_ADDRESS",
    "HOME",
    "LANG",
    "LC_ALL",
    "PATH",
    "PYTHONPATH",
    "SOFTHSM2_CONF",  # where a PKCS #11 module finds its settings
    "SSL_CERT_FILE",
    "TERM",
    "TMPDIR",
    "TZ",
    "VIRTUAL_ENV",
    "YUBIHSM_PKCS11_CONF",
)

_log = logging.getLogger(__name__)
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """A child: its name in the log, its command, and how long it may take to say it is ready."""

    name: str
    argv: Sequence[str]
    ready_timeout_s: float = 30.0
    env: Mapping[str, str] = field(default_factory=dict, repr=False)


class Supervisor:
    """Keeps children running until told to stop. `ready` is set once all of them are up."""

    def __init__(
        self, specs: Sequence[ProcessSpec], stop_timeout_s: float = STOP_TIMEOUT_S
    ) -> None:
        self._children = [_Child(spec, stop_timeout_s) for spec in specs]
        self.ready = asyncio.Event()

    @property
    def pids(self) -> Mapping[str, int]:
        """Process ids of the children that run now, by name."""
        return {child.spec.name: child.pid for child in self._children if child.pid is not None}

    async def run(self, stop: asyncio.Event) -> None:
        """Start all in order and keep them running; when `stop` is set, end them in reverse."""
        running: list[asyncio.Task[None]] = []
        async with asyncio.TaskGroup() as tasks:
            starting = tasks.create_task(self._start_in_order(tasks, running))
            try:
                await stop.wait()
            finally:
                starting.cancel()
                for task in reversed(running):
                    task.cancel()
                    await asyncio.wait({task})

    async def _start_in_order(
        self, tasks: asyncio.TaskGroup, running: list[asyncio.Task[None]]
    ) -> None:
        for child in self._children:
            running.append(tasks.create_task(child.keep_running(), name=child.spec.name))
            await child.ready.wait()
        self.ready.set()


class _Child:
    """One command, started again whenever it ends, until its task is cancelled."""

    def __init__(self, spec: ProcessSpec, stop_timeout_s: float) -> None:
        self.spec = spec
        self.pid: int | None = None
        self.ready = asyncio.Event()
        self._stop_timeout_s = stop_timeout_s
        self._run_ready = asyncio.Event()  # of the current run; `ready` is of any

    async def keep_running(self) -> None:
        loop = asyncio.get_running_loop()
        backoff_s = BACKOFF_MIN_S
        while True:
            started_s = loop.time()
            await self._run_once()
            if loop.time() - started_s >= HEALTHY_AFTER_S:
                backoff_s = BACKOFF_MIN_S
            _log.warning("%s: starting again in %.1f s", self.spec.name, backoff_s)
            await asyncio.sleep(backoff_s)
            backoff_s = min(backoff_s * 2, BACKOFF_MAX_S)

    async def _run_once(self) -> None:
        """Run the command to its end, or end it: when not ready in time, or when cancelled."""
        self._run_ready.clear()
        with _notifications(self._on_notification) as address:
            try:
                process = await self._spawn(address)
            except OSError as error:
                _log.error("%s: cannot start %s: %s", self.spec.name, self.spec.argv[0], error)
                return
            self.pid = process.pid
            _log.info("%s: started, process %d", self.spec.name, process.pid)
            try:
                await self._wait_for_end(process)
            finally:
                await self._end(process)
                self.pid = None
                _log.info("%s: %s", self.spec.name, _describe_exit(process.returncode))

    async def _spawn(self, notify_address: str) -> asyncio.subprocess.Process:
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        supervisor = os.getpid()
        return await asyncio.create_subprocess_exec(
            *self.spec.argv,
            env=inherited | dict(self.spec.env) | {"NOTIFY_SOCKET": notify_address},
            stdin=asyncio.subprocess.DEVNULL,
            preexec_fn=lambda: tie_to(supervisor),
        )

    def _on_notification(self, lines: Sequence[bytes]) -> None:
        if b"READY=1" in lines and not self._run_ready.is_set():
            self._run_ready.set()
            self.ready.set()
            _log.info("%s: ready", self.spec.name)

    async def _wait_for_end(self, process: asyncio.subprocess.Process) -> None:
        async with asyncio.TaskGroup() as tasks:
            expecting = tasks.create_task(self._expect_ready(process))
            await process.wait()
            expecting.cancel()

    async def _expect_ready(self, process: asyncio.subprocess.Process) -> None:
        try:
            async with asyncio.timeout(self.spec.ready_timeout_s):
                await self._run_ready.wait()
        except TimeoutError:
            _log.warning("%s: not ready within %.1f s", self.spec.name, self.spec.ready_timeout_s)
            await self._end(process)

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        """End a process that still runs: SIGTERM, and SIGKILL to its whole group when it stays."""
        if process.returncode is not None:
            return
        _send_signal(process.pid, signal.SIGTERM, os.kill)
        try:
            async with asyncio.timeout(self._stop_timeout_s):
                await process.wait()
        except TimeoutError:
            _log.warning("%s: did not stop within %.1f s", self.spec.name, self._stop_timeout_s)
        finally:
            if process.returncode is None:
                _send_signal(process.pid, signal.SIGKILL, os.killpg)
        await process.wait()


@contextmanager
def _notifications(on_notification: Callable[[Sequence[bytes]], None]) -> Iterator[str]:
    """Receive sd_notify messages while the block runs; yields the address for NOTIFY_SOCKET.

    The kernel picks a free name in the abstract namespace, so there is no file to clean up; others
    on this machine can send to it, so the sender's user is checked.
    """
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        receiver.bind("")
        loop.add_reader(receiver, lambda: _receive(receiver, on_notification))
        try:
            yield "@" + receiver.getsockname()[1:].decode()
        finally:
            loop.remove_reader(receiver)


def _receive(receiver: socket.socket, on_notification: Callable[[Sequence[bytes]], None]) -> None:
    try:
        data, ancillary, _, _ = receiver.recvmsg(
            _NOTIFICATION_BYTES_MAX, socket.CMSG_SPACE(_UCRED.size)
        )
    except BlockingIOError:
        return  # woken for nothing
    for level, kind, payload in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, _SCM_CREDENTIALS):
            _pid, uid, _gid = _UCRED.unpack(payload)
            if uid == os.getuid():
                on_notification(data.split(b"\n"))


def tie_to(supervisor: int) -> None:
    """In the child, before exec: leave the terminal's process group, and die with the supervisor."""
    # ^C in a terminal reaches the supervisor only, which stops the children in order.
    os.setpgid(0, 0)
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != supervisor:  # it died before the call above
        os._exit(1)


def _send_signal(pid: int, number: signal.Signals, send: Callable[[int, int], None]) -> None:
    try:
        send(pid, number)
    except ProcessLookupError:
        _log.debug("process %d ended by itself", pid)


def _describe_exit(returncode: int | None) -> str:
    if returncode is None:
        return "left running"
    if returncode < 0:
        return f"ended by {signal.Signals(-returncode).name}"
    return f"exited with status {returncode}"
