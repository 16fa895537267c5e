"""The demonstration as a person runs it: a bill, a receipt that holds and one that does not."""

import subprocess
import sys

import psutil
import pytest

from gateway.app.provision import initialise
from gateway.clock import SystemClock
from gateway.settings import Home

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300)]


def run_demo(folder) -> subprocess.CompletedProcess[str]:
    arguments = ("-m", "gateway.cli.main", "demo", "--once", "--home", str(folder))
    return subprocess.run(
        (sys.executable, *arguments), capture_output=True, text=True, timeout=140, check=False
    )


def find_processes(folder) -> list[str]:
    """The processes that have something to do with a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if str(folder) in line:
            found.append(line)
    return found


def test_the_demonstration_bills_proves_and_cleans_up_and_can_be_run_again(tmp_path):
    folder = tmp_path / "demo"
    for run in ("first", "second"):
        ended = run_demo(folder)

        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert ended.stderr == ""
        position = -1
        for words in ("The bill, computed by the contract", "\nVALID ", "\nNOT VALID "):
            assert ended.stdout.find(words, position + 1) > position, f"{run}: {words}"
            position = ended.stdout.find(words, position + 1)
        assert find_processes(folder) == []
    assert (folder / "receipt.json").is_file()
    assert "Traceback" not in (folder / "demo.log").read_text()


def test_the_home_of_a_real_node_is_refused(tmp_path):
    home = Home(tmp_path / "home")
    initialise(home, "real", SystemClock())
    ended = run_demo(home.path)

    assert ended.returncode == 1
    assert ended.stderr == (
        f"smartshare: {home.path} is the home of a real node; give the demonstration another folder\n"
    )
