"""The demonstration as a person runs it: a bill, a receipt that holds and one that does not."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from gateway.app.provision import initialise
from gateway.clock import SystemClock
from gateway.demo.neighbours import neighbour_homes
from gateway.demo.stage import prepare
from gateway.settings import Home

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.alone,  # sixteen processes that keep to a day's clock
    pytest.mark.timeout(700),
]


class Demo:
    """A finished run in a session of its own: what it printed, and the processes it left behind."""

    def __init__(self, folder: Path) -> None:
        arguments = ("-m", "gateway.cli.main", "demo", "--once", "--home", str(folder))
        process = subprocess.Popen(
            (sys.executable, *arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            self.out, self.err = process.communicate(timeout=300)
        finally:
            process.kill()
        self.code = process.returncode
        self.left = [one for one in psutil.process_iter() if is_in_session(one.pid, process.pid)]


def is_in_session(pid: int, session: int) -> bool:
    try:
        return os.getsid(pid) == session
    except ProcessLookupError:
        return False


def test_the_demonstration_bills_proves_and_cleans_up_and_can_be_run_again(tmp_path):
    folder = tmp_path / "demo"
    for run in ("first", "second"):
        demo = Demo(folder)

        assert demo.code == 0, demo.out + demo.err
        assert demo.err == ""
        position = -1
        for words in ("The bill, computed by the contract", "\nVALID ", "\nNOT VALID "):
            assert demo.out.find(words, position + 1) > position, f"{run}: {words}"
            position = demo.out.find(words, position + 1)
        assert demo.left == []
    assert (folder / "receipt.json").is_file()
    assert "Traceback" not in (folder / "demo.log").read_text()


def test_the_home_of_a_real_node_is_refused(tmp_path):
    home = Home(tmp_path / "home")
    initialise(home, "real", SystemClock())
    demo = Demo(home.path)

    assert demo.code == 1
    assert demo.err == (
        f"smartshare: {home.path} is the home of a real node; give the demonstration another folder\n"
    )


def test_a_demonstration_that_fails_shows_the_end_of_its_log(tmp_path):
    home = Home(tmp_path / "home")
    prepare(home, SystemClock())
    neighbour_homes(home)["school"].settings.write_text("name = 5\n")
    demo = Demo(home.path)

    assert demo.code == 1
    said = demo.err.splitlines()
    assert said[0] == f"The last lines of {home.path}/demo.log:"
    assert "smartshare.toml" in "\n".join(said[1:-1])
    assert said[-1] == "smartshare: the node did not start: one of its processes ended"
    assert demo.left == []
    secrets = [path.read_text().strip() for path in home.path.rglob("*.password")]
    assert len(secrets) > 8
    assert not any(secret in demo.err for secret in secrets)
