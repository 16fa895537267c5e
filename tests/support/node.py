"""A whole node in a test: a home folder and its processes, each started, killed and awaited alone."""

import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from gateway.app.founding import NetworkOptions
from gateway.app.operator import Operator
from gateway.app.provision import Membership, initialise
from gateway.clock import SystemClock
from gateway.errors import MessagingError
from gateway.settings import Home, write_atomic
from ledger.codec.text import parse_address
from ledger.types.genesis import Allocation

SERVICES = ("agent", "gateway", "ledger")
READY_TIMEOUT_S = 60.0


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Process:
    """A child that says READY=1 on a notify socket of its own."""

    def __init__(self, arguments: tuple[str, ...], log: Path) -> None:
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind("")
        address = "@" + self._notify.getsockname()[1:].decode()
        environment = {**os.environ, "NOTIFY_SOCKET": address}
        with log.open("ab") as output:
            self.child = subprocess.Popen(
                (sys.executable, *arguments), env=environment, stdout=output, stderr=output
            )

    def wait_ready(self) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline:
            readable, _, _ = select.select([self._notify], [], [], 0.2)
            if readable and b"READY=1" in self._notify.recv(4096):
                return
            if self.child.poll() is not None:
                raise AssertionError(f"ended with {self.child.returncode} before it was ready")
        raise AssertionError("not ready in time")

    def kill(self) -> None:
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()
        self._notify.close()

    def stop(self) -> int:
        if self.child.poll() is None:
            self.child.terminate()
        try:
            return self.child.wait(20)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise
        finally:
            self._notify.close()


class Node:
    """A context manager: everything that was started is stopped at the end."""

    def __init__(
        self,
        folder: Path,
        *,
        slot_ms: int = 200,
        consumer: bytes | None = None,
        foundation: str | None = None,
        membership: Membership | None = None,
    ) -> None:
        """With a `membership` it is of that network, else of one of its own with the other options."""
        self.home = Home(folder)
        self.log = folder.with_suffix(".log")
        self.processes: dict[str, Process] = {}
        allocations = (Allocation(consumer, 10**15),) if consumer is not None else ()
        network = NetworkOptions(
            slot_ms,
            heartbeat_ms=1000,
            allocations=allocations,
            foundation=None if foundation is None else parse_address(foundation),
        )
        self.port = find_free_port()
        self.keys = initialise(
            self.home,
            "test",
            SystemClock(),
            listen=f"127.0.0.1:{self.port}",
            membership=membership or Membership(network),
        )
        settings = self.home.settings.read_text()
        settings = settings.replace("enabled = true ", "enabled = false")
        settings = settings.replace("age_max_ms = 10000", "age_max_ms = 500")
        write_atomic(self.home.settings, settings.encode())

    @classmethod
    def of_home(cls, folder: Path, port: int) -> Self:
        """A node whose home is there already, such as a copy of another one's."""
        node = cls.__new__(cls)
        node.home, node.log = Home(folder), folder.with_suffix(".log")
        node.processes, node.port = {}, port
        return node

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in reversed(self.processes.values()):
            process.stop()
        if kind is not None:
            print(self.log.read_text()[-6000:])

    def start(self, *names: str) -> None:
        self.begin(*names)
        self.wait_ready(*names)

    def begin(self, *names: str) -> None:
        for name in names or SERVICES:
            arguments = ("-m", "gateway.cli.main", name, "--home", str(self.home.path))
            self.processes[name] = Process(arguments, self.log)

    def wait_ready(self, *names: str) -> None:
        for name in names or SERVICES:
            self.processes[name].wait_ready()

    def start_meter(self, *arguments: str, port: int) -> None:
        module = ("-m", "gateway.connectors.simulated.modbus_server", "--port", str(port))
        self.processes["meter"] = Process((*module, *arguments), self.log)

    def operator(self, answer_timeout_s: float = 10.0) -> Operator:
        """A connection to the node once its ledger answers."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while True:
            operator = Operator(self.home, f"test-{os.urandom(4).hex()}", answer_timeout_s)
            try:
                operator.__enter__()
            except MessagingError:
                assert time.monotonic() < deadline, "the node does not answer"
            else:
                try:
                    operator.ask("status", {}, dict)
                except MessagingError:
                    operator.__exit__(None, None, None)
                    assert time.monotonic() < deadline, "the ledger does not answer"
                else:
                    return operator
            time.sleep(0.1)
