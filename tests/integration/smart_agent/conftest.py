"""A real agent process on a real socket, ready when its fixture returns."""

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.smart_agent.client import AgentClient
from gateway.smart_agent.provision import create_agent
from gateway.smart_agent.sealed_key import KdfLimits
from gateway.smart_agent.unlock import find_unlock

AGENT = """
import asyncio, logging, sys
from pathlib import Path
from gateway.errors import GatewayError
from gateway.smart_agent.service import serve

logging.basicConfig(level=logging.DEBUG, format="%(message)s")
try:
    asyncio.run(serve(Path(sys.argv[1]), Path(sys.argv[2]), lambda: print("ready", flush=True)))
except GatewayError as error:
    print(error, flush=True)
    sys.exit(1)
"""


class AgentProcess:
    """The process, its log file and a client."""

    def __init__(self, process, socket_path, log_path):
        self.process = process
        self.socket_path = socket_path
        self.log_path = log_path
        self.client = AgentClient(socket_path)

    @property
    def log(self):
        return self.log_path.read_text()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextmanager
def running_agent(home: Path, log_path: Path):
    socket_path = home / "run" / "agent.sock"
    argv = [sys.executable, "-c", AGENT, str(home / "agent"), str(socket_path)]
    with log_path.open("a") as log:
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout
    agent = AgentProcess(process, socket_path, log_path)
    try:
        first_line = process.stdout.readline().strip()
        assert first_line == "ready", first_line + agent.log
        yield agent
    finally:
        agent.client.close()
        agent.kill()
        process.stdout.close()


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder with a new agent in it, sealed with the least work."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    folder = tmp_path / "home" / "agent"
    create_agent(folder, find_unlock(folder), KdfLimits(ops=1, memory_bytes=8192))
    return tmp_path / "home"


@pytest.fixture
def start(tmp_path):
    """Start an agent process for a `with` block."""
    return lambda home: running_agent(home, tmp_path / "agent.log")


@pytest.fixture
def agent(home, start):
    with start(home) as agent:
        yield agent


@pytest.fixture
def open_folder():
    """A folder that every user of the machine can enter and write to."""
    if os.getuid() != 0:
        pytest.skip("needs root to become another user")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)
