"""What code inside a worker could still do if it broke out of Lua: nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]

# Runs confined, tries one thing, and says over its standard output how that ended.
SCRIPT = """
import sys; sys.path.insert(0, sys.argv[1])
import os, socket, ctypes, mmap, signal
from edge_contracts.confinement import confine
libc = ctypes.CDLL(None, use_errno=True)
is_filtered = confine()
attempts = {
    "nothing": lambda: None,
    "open": lambda: os.open("/etc/passwd", os.O_RDONLY),
    "open for writing": lambda: os.open("/tmp/escaped", os.O_WRONLY | os.O_CREAT),
    "stat": lambda: os.stat("/etc/passwd"),
    "list": lambda: os.listdir("/"),
    "socket": lambda: socket.socket(),
    "unix socket": lambda: socket.socket(socket.AF_UNIX),
    "fork": lambda: os.fork(),
    "execute": lambda: os.execv("/bin/true", ["/bin/true"]),
    "kill": lambda: os.kill(os.getppid(), 0),
    "pipe": lambda: os.pipe(),
    "dup": lambda: os.dup(1),
    "unlink": lambda: os.unlink("/tmp/none"),
    "chdir": lambda: os.chdir("/"),
    "uid": lambda: os.setuid(0),
    "priority": lambda: os.nice(-5),
    "executable memory": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC),
    "make memory executable": lambda: check(libc.mprotect(page, 4096, 5)),
    "trace": lambda: check(libc.ptrace(0, 0, 0, 0)),
}
page = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(mmap.mmap(-1, 4096))))
def check(answer):
    if answer != 0: raise OSError(ctypes.get_errno(), "refused")
try:
    attempts[sys.argv[2]]()
    verdict = "done"
except OSError as error:
    verdict = f"errno {error.errno}"
os.write(1, f"{is_filtered} {verdict}".encode())
os._exit(0)
"""


def attempt(name: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(ROOT), name], capture_output=True, text=True, check=True
    )
    return result.stdout


def test_a_confined_process_still_computes():
    assert attempt("nothing") == "True done"


@pytest.mark.parametrize(
    "name",
    [
        "open", "open for writing", "stat", "list", "socket", "unix socket", "fork", "execute",
        "kill", "pipe", "dup", "unlink", "chdir", "uid", "priority", "executable memory",
        "make memory executable", "trace",
    ],
)  # fmt: skip
def test_the_system_refuses(name):
    assert attempt(name) == "True errno 1"
