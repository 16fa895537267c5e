"""A real SmartAgent process on a real socket."""

import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from gateway.smart_agent.client import AgentClient

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
