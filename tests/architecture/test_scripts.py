"""The scripts: readable by shellcheck, honest about what they lack, and cheap when nothing is to do.

`.venv` is made here by the real scripts with a stand-in for pip, so that no test needs a network.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
SCRIPTS = sorted(
    path for path in (*(REPO / "scripts").rglob("*"), REPO / ".ci/run") if path.is_file()
)
COMMANDS = [path for path in SCRIPTS if path.parent.name != "lib"]
LOCKS = ("requirements.lock", "requirements-build.lock", "requirements-dev.lock")

# Stands for Python when asked for a virtual environment: makes a real one, with a pip that writes
# down what it is asked for and, for the package itself, makes the `smartshare` command.
PYTHON_STAND_IN = r"""#!/bin/bash
if [[ "$1 $2" != "-m venv" ]]; then exec {python} "$@"; fi
{python} -m venv --without-pip "$3" && for packages in "$3"/lib/python*/site-packages; do
  mkdir "$packages/pip" && : >"$packages/pip/__init__.py" && cat >"$packages/pip/__main__.py" <<'END'
import os, pathlib, sys
with open(os.environ["PIP_CALLS"], "a") as calls:
    print(*sys.argv[1:], file=calls)
if os.environ.get("PIP_FAILS"):
    sys.exit(1)
if "--editable" in sys.argv:
    command = pathlib.Path(sys.prefix, "bin", "smartshare")
    command.write_text("#!/bin/sh\necho smartshare \"$@\"\n")
    command.chmod(0o755)
END
done
"""


def requirements(lock: str) -> dict[str, str]:
    """Return the version of each package a lock names."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (REPO / lock).read_text(), re.MULTILINE))


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.name)
def test_command_is_executable_and_stops_at_the_first_failure(path):
    text = path.read_text()

    assert os.access(path, os.X_OK)
    assert text.startswith(("#!/usr/bin/env bash\n", "#!/bin/sh\n"))
    assert re.search(r"^set -eu(o pipefail)?$", text, re.MULTILINE)


def test_shellcheck_finds_nothing():
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed (Debian: shellcheck)")

    result = subprocess.run(
        ["shellcheck", "--external-sources", *SCRIPTS], capture_output=True, text=True, check=False
    )

    assert result.stdout == ""


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_pins_and_hashes_everything_and_names_no_place(lock):
    text = (REPO / lock).read_text()
    blocks = re.split(r"\n(?=[a-z])", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))

    for block in blocks:
        assert re.match(r"[a-z0-9-]+==\S+", block), block[:80]
        assert "--hash=sha256:" in block, block[:80]
    assert "://" not in text
    assert "--index" not in text


def test_locks_agree_and_hold_what_the_project_asks_for():
    everything = requirements("requirements-dev.lock")
    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    asked_for = project["dependencies"] + project["optional-dependencies"]["dev"]
    names = {re.split(r"[^A-Za-z0-9-]", line)[0].lower() for line in asked_for}

    assert names <= everything.keys()
    for lock in LOCKS:
        assert requirements(lock).items() <= everything.items()


class Checkout:
    """A copy of the scripts in a folder whose name has a space, with Python's stand-in."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "check out"
        self.calls = folder / "pip-calls"
        shutil.copytree(REPO / "scripts", self.path / "scripts")
        for name in ("pyproject.toml", *LOCKS):
            shutil.copy(REPO / name, self.path)
        self._python = folder / "python"
        self._python.write_text(PYTHON_STAND_IN.replace("{python}", shlex.quote(sys.executable)))
        self._python.chmod(0o755)

    def run(self, script: str, *arguments: str, **environment: str):
        """Run a script and return its result; the calls of pip are counted anew."""
        self.calls.write_text("")
        settings = {"SMARTSHARE_PYTHON": str(self._python), "PIP_CALLS": str(self.calls)}
        return subprocess.run(
            [self.path / script, *arguments],
            env=os.environ | settings | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    @property
    def pip_calls(self) -> list[str]:
        """What pip was asked for since the last run."""
        return self.calls.read_text().splitlines()


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path)


def test_first_run_installs_hashed_wheels_and_starts_the_demo(checkout):
    result = checkout.run("scripts/demo", "--once")

    assert result.stdout == "smartshare demo --once\n", result.stderr
    locks, package = checkout.pip_calls
    assert "--require-hashes" in locks
    assert "--only-binary :all:" in locks
    assert "requirements.lock" in locks
    assert "requirements-dev.lock" not in locks
    assert package.endswith(f"--editable {checkout.path}")


def test_first_run_compiles_the_packages_and_goes_on_where_it_cannot(checkout):
    package = checkout.path / "gateway"
    package.mkdir()
    (package / "good.py").write_text("GOOD = 1\n")
    (package / "bad.py").write_text("def\n")

    result = checkout.run("scripts/demo", "--once")

    assert result.stdout == "smartshare demo --once\n"
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert len(list((package / "__pycache__").glob("good.*.pyc"))) == 1


def test_what_is_compiled_is_what_is_installed():
    hatch = tomllib.loads((REPO / "pyproject.toml").read_text())["tool"]["hatch"]
    packages = ",".join(hatch["build"]["targets"]["wheel"]["packages"])
    text = (REPO / "scripts/lib/environment.sh").read_text()

    assert f'"$REPO"/{{{packages}}}' in text


def test_second_run_installs_nothing(checkout):
    checkout.run("scripts/demo")

    result = checkout.run("scripts/demo")

    assert result.returncode == 0
    assert result.stderr == ""
    assert checkout.pip_calls == []


def test_changed_lock_is_installed(checkout):
    checkout.run("scripts/demo")
    with (checkout.path / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")

    result = checkout.run("scripts/demo")

    assert "Bringing .venv up to date" in result.stderr
    assert len(checkout.pip_calls) == 2


def test_installation_that_was_cut_off_is_made_anew(checkout):
    failed = checkout.run("scripts/demo", PIP_FAILS="1")
    left_over = checkout.path / ".venv/left-over"
    left_over.touch()

    result = checkout.run("scripts/demo")

    assert failed.returncode != 0
    assert failed.stdout == ""
    assert "Making .venv" in result.stderr
    assert not left_over.exists()


@pytest.mark.parametrize("damage", ["bin/python", "pyvenv.cfg"])
def test_broken_environment_is_made_anew(checkout, damage):
    checkout.run("scripts/demo")
    (checkout.path / ".venv" / damage).unlink()

    result = checkout.run("scripts/demo")

    assert "Making .venv" in result.stderr
    assert result.returncode == 0


def test_moved_checkout_gets_an_environment_of_its_own(checkout):
    checkout.run("scripts/demo")
    checkout.path = checkout.path.rename(checkout.path.with_name("moved"))

    result = checkout.run("scripts/demo")

    assert "Making .venv" in result.stderr
    assert result.stdout == "smartshare demo\n"


def test_without_python_one_line_says_what_to_install(checkout, tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("bash", "env", "dirname", "sha256sum", "flock", "cat", "grep", "rm"):
        (tools / tool).symlink_to(shutil.which(tool))

    result = checkout.run("scripts/demo", PATH=str(tools), SMARTSHARE_PYTHON="python3")

    assert result.returncode == 1
    assert result.stderr == (
        "demo: Python 3.11 or newer with venv is needed; "
        "install it (Debian, Ubuntu: python3 python3-venv)\n"
    )


@pytest.mark.parametrize(("pytest_exit", "expected"), [(0, 0), (5, 0), (1, 1), (2, 2)])
def test_only_a_selection_without_tests_is_forgiven(tmp_path, pytest_exit, expected):
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\nexit {pytest_exit}\n")
    python.chmod(0o755)
    script = f'set -euo pipefail; source "{REPO}/scripts/lib/checks.sh"; run_pytest -m system'

    result = subprocess.run(
        ["bash", "-c", script],
        env=os.environ | {"REPO": str(tmp_path), "VENV": str(tmp_path / ".venv")},
        check=False,
    )

    assert result.returncode == expected


def run_checks(script: str) -> subprocess.CompletedProcess[str]:
    script = f'set -euo pipefail; source "{REPO}/scripts/lib/checks.sh"; {script}'
    return subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        # Whoever started us in the background may have had it ignored, which is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.mark.parametrize("code", [0, 3])
def test_what_ran_beside_is_shown_and_its_failure_counts(tmp_path, code):
    result = run_checks(
        f"work() {{ echo said; return {code}; }};"
        f"run_beside {tmp_path}/log work; join_beside {tmp_path}/log; echo joined"
    )

    assert result.returncode == code
    assert result.stdout == ("said\n" if code else "said\njoined\n")


INTERRUPTED = """
import sys, time
try:
    print("ready", flush=True)
    while True:
        time.sleep(0.02)
except KeyboardInterrupt:
    print("cleaned")
    sys.exit(1)
"""


def test_what_runs_beside_is_interrupted_and_waited_for_when_the_rest_fails(tmp_path):
    beside = tmp_path / "beside.py"
    beside.write_text(INTERRUPTED)

    result = run_checks(
        f"trap stop_beside EXIT; run_beside {tmp_path}/log {sys.executable} {beside};"
        f"until grep -q ready {tmp_path}/log; do sleep 0.02; done; exit 7"
    )

    assert result.returncode == 7
    assert (tmp_path / "log").read_text() == "ready\ncleaned\n"


@pytest.mark.parametrize("arguments", [["--nonsense"], ["--root"]])
def test_install_answers_wrong_usage_with_one_line(arguments):
    result = subprocess.run(
        [REPO / "scripts/install", *arguments], capture_output=True, text=True, check=False
    )

    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "usage: scripts/install" in result.stderr
