"""The limit of open files, set for real in a process of its own."""

import subprocess
import sys

SCRIPT = """
import resource, sys
from gateway.broker.descriptors import room_for_connections
from gateway.errors import BrokerError
soft, hard = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
try:
    print(room_for_connections(1024), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
except BrokerError as error:
    print(error)
"""


def room(soft: int, hard: int) -> str:
    command = [sys.executable, "-c", SCRIPT, str(soft), str(hard)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_the_soft_limit_is_raised_to_the_hard_one():
    assert room(256, 2048) == "1024 2048\n"


def test_connections_leave_descriptors_for_files():
    connections, limit = map(int, room(400, 400).split())

    assert limit == 400
    assert 200 < connections <= 400 - 128


def test_no_room_at_all_is_one_line_that_says_what_to_do():
    assert "raise it (LimitNOFILE=" in room(100, 100)
