"""A running node of real processes, shared by the tests of a file, and commands against it."""

import contextlib
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import msgspec
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from gateway.model import topics
from tests.support.node import Node

WAIT_S = 30.0
T = TypeVar("T")


class Command:
    """What `smartshare ...` did in a process of its own."""

    def __init__(self, *arguments: str) -> None:
        ended = subprocess.run(
            (sys.executable, "-m", "gateway.cli.main", *arguments),
            capture_output=True,
            text=True,
            timeout=90,
        )
        self.code, self.out, self.err = ended.returncode, ended.stdout, ended.stderr
        assert "Traceback" not in self.err, self.err

    @property
    def line(self) -> str:
        """The one line that a failed command says."""
        (only,) = self.err.splitlines()
        return only

    @property
    def data(self) -> Any:
        return msgspec.json.decode(self.out)


class RunningNode:
    """A node whose three processes run, and commands on its home."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.home = node.home

    def run(self, *arguments: str) -> Command:
        return Command(*arguments, "--home", str(self.home.path))

    def ask(self, *arguments: str) -> Any:
        """Run a command that must succeed and return its JSON document."""
        command = self.run(*arguments, "--json")
        assert command.code == 0, command.err + command.out
        return command.data

    @contextlib.contextmanager
    def without(self, service: str) -> Iterator[None]:
        """Stop a process for as long as the block runs."""
        self.node.processes[service].stop()
        try:
            yield
        finally:
            self.node.start(service)

    def add_device(self, name: str) -> str:
        """Add a device that publishes for itself; return its password."""
        return str(self.ask("device", "add", name, "--profile", "json-energy")["password"])

    def publish(self, name: str, password: str, *values: int, tries: int = 10) -> None:
        """Publish readings and wait until each is acknowledged.

        The gateway takes up a new device after a moment, so a device tries more than once.
        """
        acknowledged = threading.Semaphore(0)
        answers: queue.SimpleQueue[ReasonCode] = queue.SimpleQueue()
        client = Client(CallbackAPIVersion.VERSION2, f"{name}-test")
        client.username_pw_set(name, password)
        client.reconnect_delay_set(1, 1)
        client.on_publish = lambda *_: acknowledged.release()
        client.on_connect = lambda _client, _data, _flags, reason, _properties: answers.put(reason)
        client.connect_async("127.0.0.1", self.node.port)
        client.loop_start()
        try:
            is_let_in = any(not answers.get(timeout=WAIT_S).is_failure for _ in range(tries))
            assert is_let_in, f"{name} is not let in"
            for value in values:
                payload = msgspec.json.encode({"power_active_total": value})
                client.publish(topics.device("test", name, "up"), payload, qos=1)
            for _ in values:
                assert acknowledged.acquire(timeout=WAIT_S), "a reading is not acknowledged"
        finally:
            client.disconnect()
            client.loop_stop()


def until(ask: Callable[[], T | None]) -> T:
    """Return the first answer that is true; processes need their time."""
    deadline = time.monotonic() + WAIT_S
    while not (answer := ask()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)
    return answer


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    with Node(tmp_path_factory.mktemp("node") / "home") as running:
        running.start()
        running.operator(answer_timeout_s=1.0).__exit__(None, None, None)
        yield RunningNode(running)
