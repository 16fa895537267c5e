"""scripts/install on a machine, then a real boot: the services start, heal and keep to themselves."""

import pytest

from tests.system.machine import boot, copy_checkout, overlay_of_this_machine, run, run_in

SERVICES = ("smartshare-agent", "smartshare-gateway", "smartshare-ledger")
HOME = "/var/lib/smartshare"

WORKER_PROBE = """
from edge_contracts.messages import RunCall
from edge_contracts.worker_process import WorkerProcess
from gateway.clock import SystemClock

worker = WorkerProcess(SystemClock())
print(worker.run(RunCall("return {}", "", b"\\x80", b"\\x80", (), 0, 10_000), lambda request: None))
worker.close()
"""

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def installed():
    """A machine's tree after scripts/install --root from outside and then twice inside; what they said."""
    with overlay_of_this_machine() as root:
        install = copy_checkout(root) / "scripts/install"
        image = run(root / install.relative_to("/"), "--root", root, timeout_s=300)
        assert not list((root / HOME.lstrip("/")).iterdir()), "an image must hold no identity"
        inside = [run_in(root, install, "--name", "cellar", "--no-start") for _ in range(2)]
        add_worker_probe(root)
        yield root, [image, *inside]


def add_worker_probe(root):
    """Add a service with the ledger's sandbox that runs one call in a contract worker."""
    (root / "opt/probe.py").write_text(WORKER_PROBE)
    units = root / "etc/systemd/system"
    lines = (units / "smartshare-ledger.service").read_text().splitlines(keepends=True)
    changed = ("Type=", "ExecStart=", "Restart=", "WatchdogSec=", "Wants=", "After=")
    kept = "".join(line for line in lines if not line.startswith(changed))
    command = "Type=oneshot\nExecStart=/opt/smartshare/current/bin/python /opt/probe.py\n"
    probe = kept.replace("[Service]\n", "[Service]\n" + command)
    (units / "worker-probe.service").write_text(probe)


@pytest.fixture(scope="module")
def machine(installed):
    """That machine, booted."""
    root, _ = installed
    with boot(root) as machine:
        yield machine


def test_installing_again_changes_nothing(installed):
    root, (image, first, second) = installed

    assert "create-home" in image
    assert "the unlock secret is encrypted" in first
    assert "stays as it is" in second
    assert len(list((root / "opt/smartshare/releases").iterdir())) == 1


def test_secrets_are_private_and_the_unlock_secret_is_encrypted(installed):
    root, _ = installed

    assert not (root / HOME.lstrip("/") / "agent/unlock").exists()
    credential = root / "etc/credstore.encrypted/smartshare-unlock"
    assert credential.stat().st_mode & 0o077 == 0
    assert (root / HOME.lstrip("/") / "agent").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("service", SERVICES)
def test_service_is_active_after_boot(machine, service):
    machine.wait_until_active(service)

    assert machine.show(service, "User") == "smartshare"
    assert machine.show(service, "NRestarts") == "0"


@pytest.mark.parametrize("service", SERVICES)
def test_killed_service_comes_back(machine, service):
    machine.wait_until_active(service)
    pid = machine.show(service, "MainPID")

    machine.run("kill", "-KILL", pid)

    machine.wait_until(
        f"{service} runs again",
        lambda: (
            machine.show(service, "MainPID") not in (pid, "0")
            and machine.show(service, "ActiveState") == "active"
        ),
    )


@pytest.mark.parametrize("service", ["smartshare-gateway", "smartshare-ledger"])
def test_only_the_agent_sees_the_keys(machine, service):
    machine.wait_until_active(service)
    pid = machine.show(service, "MainPID")

    seen = machine.run("nsenter", "-t", pid, "-m", "ls", "-A", f"{HOME}/agent", "/run/credentials")

    assert set(seen.split()) == {f"{HOME}/agent:", "/run/credentials:"}, "both folders look empty"


def test_contract_worker_runs_inside_the_ledgers_sandbox(machine):
    machine.run("systemctl", "start", "worker-probe")

    assert "status='ok'" in machine.run(
        "journalctl", "-u", "worker-probe", "-o", "cat", "--no-pager"
    )


def test_the_node_works_as_a_whole(machine):
    for service in SERVICES:
        machine.wait_until_active(service)

    status = ("smartshare", "status", "--json", "--home", HOME)
    machine.wait_until("smartshare status exits 0", lambda: machine.succeeds(*status))
