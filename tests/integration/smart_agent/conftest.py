"""A real agent process on a real socket, ready when its fixture returns."""

import os
import tempfile
from pathlib import Path

import pytest

from gateway.smart_agent.provision import create_agent
from gateway.smart_agent.sealed_key import KdfLimits
from gateway.smart_agent.unlock import find_unlock
from tests.support.agent_process import running_agent


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
