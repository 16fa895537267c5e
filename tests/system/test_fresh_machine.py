"""A Debian with nothing on it: the checkout's scripts bring all they need, and say what they skip."""

import pytest

from tests.system.machine import bare_debian, copy_checkout, run, run_in

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def machine():
    with bare_debian() as root:
        yield root, copy_checkout(root)


def test_nothing_that_helps_is_there(machine):
    root, _ = machine

    run_in(root, "sh", "-c", "! which python3 git make gcc curl")


def test_demo_runs_and_a_second_time_nothing_is_set_up(machine):
    root, checkout = machine

    first = run_in(root, checkout / "scripts/demo", "--once", timeout_s=600)
    second = run_in(root, checkout / "scripts/demo", "--help")  # test_demo.py plays it twice

    assert "Installing with apt-get: python3 python3-venv" in first
    assert "Making .venv" in first
    assert "usage: smartshare demo" in second
    assert "Making .venv" not in second
    assert "apt-get" not in second


def test_a_user_without_root_gets_the_tests_with_the_skips_listed(machine):
    root, checkout = machine
    run("chown", "--recursive", "1000:1000", root / str(checkout).lstrip("/"))
    as_user = ("setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups")

    script = ("env", "HOME=/tmp", checkout / "scripts/test")
    some = ("tests/system/test_boot.py", "tests/unit/ledger/codec")  # all of them ran outside

    said = run_in(root, *as_user, *script, *some, timeout_s=600)

    assert " passed" in said
    assert "SKIPPED" in said
    assert "needs root" in said
    assert "failed" not in said
