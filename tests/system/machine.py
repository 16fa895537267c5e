"""Machines for the system tests: a copy-on-write view of this one that boots systemd, and bare Debian trees.

Rule: whatever happens here stays in a folder of its own and is gone when the test ends.
"""

import fcntl
import os
import shutil
import stat
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
CHECKOUT = "/srv/smartshare checkout"  # a path with a space, on purpose
SUITE = "bookworm"
_BASE_CACHE = Path("/var/tmp/smartshare-test-bases")
_BOOT_TIMEOUT_S = 180.0  # beside the rest of the suite, on a slow machine
_PIP_SETTINGS = ("index-url", "proxy", "timeout")


def skip_unless(*programs: str) -> None:
    """Skip the test, with the reason, unless we are root and have `programs`."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


def run(*command: str | Path, timeout_s: float = 180.0) -> str:
    """Run a command and return what it printed; a failure shows the end of its output."""
    result = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert result.returncode == 0, f"{command} exited {result.returncode}:\n{result.stdout[-3000:]}"
    return result.stdout


def copy_checkout(root: Path) -> Path:
    """Copy what a clone would hold into a machine's tree; return its path there."""
    files = run("git", "-C", REPO, "ls-files", "-coz", "--exclude-standard").split("\0")
    for name in filter(None, files):
        target = root / CHECKOUT.lstrip("/") / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (REPO / name).exists():
            shutil.copy2(REPO / name, target)
    return Path(CHECKOUT)


@contextmanager
def overlay_of_this_machine() -> Iterator[Path]:
    """Yield a writable view of this machine's own root whose changes live in memory."""
    skip_unless("systemd-nspawn", "mount", "git")
    work = Path(run("mktemp", "--directory", "/var/tmp/smartshare-overlay-XXXXXXXX").strip())
    root = work / "root"
    root.mkdir()
    try:
        run("mount", "-t", "tmpfs", "-o", "size=2G,mode=755", "smartshare-test", work)
        for folder in (work / "upper", work / "work", root):
            folder.mkdir()
        layers = f"lowerdir=/,upperdir={work}/upper,workdir={work}/work"
        try:
            run("mount", "-t", "overlay", "smartshare-test", "-o", layers, root)
        except AssertionError:
            pytest.skip("this kernel refuses an overlay of the root file system")
        _forget_this_machine(root)
        yield root
    finally:
        subprocess.run(["umount", "--recursive", "--quiet", str(work)], check=False)
        shutil.rmtree(work, ignore_errors=True)


def _forget_this_machine(root: Path) -> None:
    """Remove what is enabled, mounted and secret on the machine that lent its files."""
    for folder in (root / "etc/systemd/system").glob("*.wants"):
        shutil.rmtree(folder)
    (root / "etc/machine-id").write_text(uuid.uuid4().hex + "\n")
    (root / "etc/fstab").write_text("")
    for leftover in ("etc/systemd/system/default.target", "var/lib/systemd/credential.secret"):
        (root / leftover).unlink(missing_ok=True)
    (root / "etc/systemd/system/default.target").symlink_to("/lib/systemd/system/multi-user.target")


def run_in(root: Path, *command: str | Path, timeout_s: float = 300.0) -> str:
    """Run one command inside a tree that is not booted, with this machine's network."""
    container = ("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--pipe")
    environment = "--setenv=HOME=/root"
    return run(*container, environment, "-D", root, *command, timeout_s=timeout_s)


class BootedMachine:
    """A tree with systemd running as its process 1, without a network."""

    def __init__(self, init_pid: int) -> None:
        self._init_pid = init_pid

    def run(self, *command: str) -> str:
        """Run a command inside."""
        inside = ("nsenter", "-t", str(self._init_pid), "-m", "-u", "-i", "-n", "-p", "-C", "--")
        return run(*inside, *command)

    def succeeds(self, *command: str) -> bool:
        """Return whether a command exits 0 inside."""
        try:
            self.run(*command)
        except AssertionError:
            return False
        return True

    def show(self, unit: str, name: str) -> str:
        """Return one property of a unit."""
        return self.run("systemctl", "show", unit, "--value", "--property", name).strip()

    def wait_until(self, what: str, is_true: Callable[[], bool], timeout_s: float = 120.0) -> None:
        """Wait for something that happens inside; fail with the journal's end when it does not."""
        deadline = time.monotonic() + timeout_s
        while not is_true():
            if time.monotonic() > deadline:
                pytest.fail(f"not so after {timeout_s} s: {what}\n{self._journal()}")
            time.sleep(0.1)

    def wait_until_active(self, service: str) -> None:
        """Wait until a service has said READY=1."""
        self.wait_until(
            f"{service} is active", lambda: self.show(service, "ActiveState") == "active"
        )

    def _journal(self) -> str:
        return self.run("journalctl", "-u", "smartshare-*", "-o", "cat", "--no-pager", "-n", "20")


@contextmanager
def boot(root: Path) -> Iterator[BootedMachine]:
    """Boot a tree and yield it once systemd answers."""
    command = [
        "systemd-nspawn",
        "--directory",
        str(root),
        "--boot",
        "--private-network",
        "--register=no",
        "--keep-unit",
        "--console=pipe",
        "--link-journal=no",
    ]
    with (root.parent / "console.log").open("wb") as console:
        nspawn = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT
        )
    try:
        machine = BootedMachine(_wait_for_init(nspawn))
        _wait_until_booted(machine)
        yield machine
    finally:
        _stop(nspawn)


def _wait_for_init(nspawn: subprocess.Popen[bytes]) -> int:
    """Return the process id, seen from outside, of the container's process 1."""
    children = Path(f"/proc/{nspawn.pid}/task/{nspawn.pid}/children")
    deadline = time.monotonic() + _BOOT_TIMEOUT_S
    while time.monotonic() < deadline and nspawn.poll() is None:
        for pid in children.read_text().split():
            if Path(f"/proc/{pid}/comm").read_text().strip() == "systemd":
                return int(pid)
        time.sleep(0.05)
    pytest.skip("systemd does not boot in a container here")


def _wait_until_booted(machine: BootedMachine) -> None:
    deadline = time.monotonic() + _BOOT_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            machine.run("sh", "-c", "systemctl is-system-running --wait || true")
            machine.run("systemctl", "show-environment")
        except AssertionError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("systemd did not finish booting")


def _stop(nspawn: subprocess.Popen[bytes]) -> None:
    """Ask for a power-off twice (the second is not polite), then end it."""
    for _ in range(2):
        nspawn.terminate()
        try:
            nspawn.wait(timeout=60)
        except subprocess.TimeoutExpired:
            continue
        return
    nspawn.kill()
    nspawn.wait()


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Let other processes that want the same wait until the block ends."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def debian_base() -> Path:
    """Return a minimal Debian tree: only what debootstrap's `minbase` holds. Kept between runs."""
    skip_unless("debootstrap", "git")
    _BASE_CACHE.mkdir(mode=0o700, exist_ok=True)
    owner = _BASE_CACHE.lstat()
    assert stat.S_ISDIR(owner.st_mode)
    assert owner.st_uid == os.geteuid()
    base = _BASE_CACHE / SUITE
    with _one_at_a_time(_BASE_CACHE):
        if not base.exists():
            unfinished = _BASE_CACHE / f"{SUITE}.{os.getpid()}"
            try:
                run("debootstrap", "--variant=minbase", SUITE, unfinished, timeout_s=600)
            except AssertionError as error:
                shutil.rmtree(unfinished, ignore_errors=True)
                pytest.skip(f"debootstrap could not make a base: {str(error)[-200:]}")
            unfinished.rename(base)
    return base


def _copy_network_settings(root: Path) -> None:
    """Let a tree reach the package mirrors the way this machine does."""
    proxies = [
        path
        for path in Path("/etc/apt/apt.conf.d").glob("*")
        if "Acquire::http" in path.read_text(errors="replace")
    ]
    for source in (Path("/etc/resolv.conf"), Path("/etc/hosts"), *proxies):
        shutil.copyfile(source, root / source.relative_to("/"))
    # Not in the place of Debian's own bundle, which installing a package writes anew.
    shutil.copyfile("/etc/ssl/certs/ca-certificates.crt", root / "etc/test-certificates.crt")
    settings = {"cert": "/etc/test-certificates.crt"} | {name: _pip(name) for name in _PIP_SETTINGS}
    lines = [f"{name} = {value}" for name, value in settings.items() if value]
    (root / "etc/pip.conf").write_text("\n".join(("[global]", *lines, "")))


def _pip(setting: str) -> str:
    """Return this machine's value of a pip setting, or nothing."""
    if value := os.environ.get("PIP_" + setting.replace("-", "_").upper()):
        return value
    command = [sys.executable, "-m", "pip", "config", "get", f"global.{setting}"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


@contextmanager
def bare_debian() -> Iterator[Path]:
    """Yield a Debian tree nobody has touched: no Python, no compiler, no git."""
    base = debian_base()
    work = Path(run("mktemp", "--directory", "/var/tmp/smartshare-debian-XXXXXXXX").strip())
    try:
        run("cp", "--archive", "--reflink=auto", base, work / "root")
        _copy_network_settings(work / "root")
        yield work / "root"
    finally:
        shutil.rmtree(work, ignore_errors=True)
