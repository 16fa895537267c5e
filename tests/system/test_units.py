"""The systemd units as they ship: they load without a warning and stay closed to attackers."""

import shutil
import subprocess
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
SERVICES = ("smartshare-agent.service", "smartshare-gateway.service", "smartshare-ledger.service")
EXPOSURE_MAX = {  # tenths: `systemd-analyze security` prints 1.5
    "smartshare-agent.service": 5,  # it has no network at all
    "smartshare-gateway.service": 15,
    "smartshare-ledger.service": 15,
}

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        shutil.which("systemd-analyze") is None,
        reason="systemd-analyze is not installed (Debian: systemd)",
    ),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A root that holds systemd's own units, ours, and what ours name."""
    root = tmp_path_factory.mktemp("root")
    shutil.copytree("/lib/systemd/system", root / "lib/systemd/system", symlinks=True)
    units = root / "etc/systemd/system"
    units.mkdir(parents=True)
    for unit in (REPO / "systemd").glob("smartshare*"):
        shutil.copy(unit, units)
    program = root / "opt/smartshare/current/bin/smartshare"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    return root


def analyze(*arguments):
    return subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, timeout=120, check=False
    )


def test_units_load_without_a_warning(root):
    result = analyze("verify", f"--root={root}", "smartshare.target", *SERVICES)

    assert result.stderr == ""
    assert result.returncode == 0


@pytest.mark.parametrize("service", SERVICES)
def test_exposure_score_stays_low(root, service):
    result = analyze(
        "security",
        "--offline=yes",
        "--no-pager",
        f"--root={root}",
        f"--threshold={EXPOSURE_MAX[service]}",
        service,
    )

    assert result.returncode == 0, result.stdout[-400:]
    assert f"exposure level for {service}" in result.stdout


def test_the_agent_has_no_network():
    unit = (REPO / "systemd" / "smartshare-agent.service").read_text().splitlines()

    assert "RestrictAddressFamilies=AF_UNIX" in unit
    assert {"PrivateNetwork=yes", "IPAddressDeny=any"} <= set(unit)


def test_an_unhardened_unit_fails_the_same_check(root):
    (root / "etc/systemd/system/bare.service").write_text("[Service]\nExecStart=/bin/true\n")

    result = analyze(
        "security", "--offline=yes", f"--root={root}", "--threshold=15", "bare.service"
    )

    assert result.returncode != 0


def test_every_unit_is_covered():
    assert {path.name for path in (REPO / "systemd").glob("*.service")} == set(SERVICES)
