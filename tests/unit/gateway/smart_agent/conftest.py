import os
import shutil
import tempfile
from pathlib import Path

import pytest

from gateway.smart_agent.provision import create_agent, open_agent
from gateway.smart_agent.sealed_key import KdfLimits
from gateway.smart_agent.unlock import find_unlock


@pytest.fixture
def ram_folder():
    """A folder on a RAM disk where there is one: for thousands of writes whose durability is not the point."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(dir=place))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def cheap_limits():
    """The least work Argon2id allows: what is tested is the format, not the cost."""
    return KdfLimits(ops=1, memory_bytes=8192)


@pytest.fixture
def agent_folder(tmp_path, monkeypatch, cheap_limits):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    folder = tmp_path / "agent"
    create_agent(folder, find_unlock(folder), cheap_limits)
    return folder


@pytest.fixture
def agent(agent_folder):
    with open_agent(agent_folder, find_unlock(agent_folder)) as agent:
        yield agent
