"""Whatever goes wrong in a command is one line on the error stream, and an exit code."""

import argparse
import os
import subprocess
import sys

import pytest

from gateway.cli import main as main_module, node
from gateway.cli.main import main
from gateway.errors import AgentError, SettingsError
from gateway.settings import Home
from ledger.errors import StorageError


@pytest.fixture
def run_with(monkeypatch, capsys):
    """Run a command whose handler is the given function; return the exit code and the streams."""

    def run(handler):
        monkeypatch.setattr(node, "init", handler)
        code = main(("init", "--new-network"))
        return code, *capsys.readouterr()

    return run


def fail_with(error: BaseException):
    def handler(_options: argparse.Namespace) -> int:
        raise error

    return handler


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (SettingsError("name: what to do"), "name: what to do"),
        (StorageError("chain.db: what to do"), "chain.db: what to do"),
        (PermissionError(13, "Permission denied", "/root/x"), "/root/x: Permission denied"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (TimeoutError(), "TimeoutError"),
        (ValueError("first\nsecond"), "internal error: ValueError: first; set SMARTSHARE_DEBUG=1"),
        (ValueError(), "internal error: ValueError: ; set SMARTSHARE_DEBUG=1"),
    ],
)
def test_a_failure_is_one_line_and_exit_code_1(run_with, error, line):
    code, out, err = run_with(fail_with(error))

    assert (code, out) == (1, "")
    (only,) = err.splitlines()
    assert only.startswith(f"smartshare: {line}")


def test_a_traceback_is_there_for_who_asks(run_with, monkeypatch):
    monkeypatch.setenv("SMARTSHARE_DEBUG", "1")
    with pytest.raises(ValueError, match="a bug"):
        run_with(fail_with(ValueError("a bug")))


def test_an_interrupt_is_no_failure_of_ours(run_with):
    assert run_with(fail_with(KeyboardInterrupt())) == (main_module.INTERRUPTED, "", "")


@pytest.mark.parametrize(("returned", "code"), [(0, 0), (1, 1), (None, 0)])
def test_the_exit_code_is_the_handlers(run_with, returned, code):
    assert run_with(lambda _options: returned)[0] == code


def test_a_reader_that_went_away_is_no_failure():
    """`smartshare profile list | head -0`, with the output still in Python's buffer at the end."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = subprocess.run(
            (sys.executable, "-m", "gateway.cli.main", "profile", "list"),
            stdout=writing,
            stderr=subprocess.PIPE,
            timeout=30,
        )
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, b"")


@pytest.mark.parametrize(
    "error",
    [
        AgentError("another SmartAgent runs here"),
        ExceptionGroup("tasks", [AgentError("another SmartAgent runs here")]),
        ExceptionGroup("o", [ExceptionGroup("i", [StorageError("another SmartAgent runs here")])]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_service_whose_part_fails_says_which_in_one_line(tmp_path, monkeypatch, capsys, error):
    home = Home(tmp_path)
    home.settings.write_text('name = "x"\n')

    async def run_agent(*_arguments: object) -> None:
        raise error

    monkeypatch.setattr("gateway.app.agent.run_agent", run_agent)
    assert main(("agent", "--home", str(tmp_path))) == 1
    assert capsys.readouterr().err == "smartshare: another SmartAgent runs here\n"
