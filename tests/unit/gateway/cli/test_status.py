"""`doctor` and `status` of a node that does not run: every finding is a line, none a traceback."""

import shutil

import msgspec
import pytest

from gateway.app import disk
from gateway.app.provision import initialise
from gateway.app.registry import add_device
from gateway.cli import status
from gateway.cli.main import main
from gateway.clock import SystemClock
from gateway.health import Overload
from gateway.settings import Home
from tests.support.readings import ManualClock

CHECKS = [
    *(
        "settings",
        "genesis",
        "devices and profiles",
        "disk",
        "clock",
        "certificates",
        "MQTT sessions",
        "SmartAgent",
    ),
    *("readings store", "gateway and ledger"),
]


@pytest.fixture
def doctor(capsys):
    """Run `smartshare doctor --json`; return the exit code and the problems by name."""

    def run(home: Home) -> tuple[int, dict[str, str]]:
        code = main(("doctor", "--home", str(home.path), "--json"))
        found = msgspec.json.decode(capsys.readouterr().out)
        return code, {one["check"]: one["problem"] for one in found}

    return run


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("status") / "home")
    initialise(home, "test", ManualClock())
    return home


@pytest.fixture
def home(made, tmp_path):
    shutil.copytree(made.path, tmp_path / "home")
    return Home(tmp_path / "home")


def test_a_folder_that_does_not_exist_is_told_from_end_to_end(tmp_path, doctor):
    code, problems = doctor(Home(tmp_path / "nowhere"))

    assert code == 1
    assert list(problems) == CHECKS
    assert "smartshare init" in problems["settings"]
    assert "No such file" in problems["disk"]
    assert all("\n" not in problem for problem in problems.values())


def test_a_node_that_does_not_run_needs_only_starting(home, doctor, monkeypatch):
    monkeypatch.setattr(status, "_check_clock", lambda: None)
    code, problems = doctor(home)

    assert code == 1
    assert {name for name, problem in problems.items() if not problem} == {
        *("settings", "genesis", "devices and profiles", "disk", "clock", "certificates"),
        "MQTT sessions",
    }
    assert "smartshare agent --home" in problems["SmartAgent"]
    assert "running" in problems["gateway and ledger"]


def test_sessions_that_were_damaged_and_set_aside_are_told_until_somebody_looks(home, doctor):
    damaged = home.broker_sessions.with_name("sessions.db.damaged-1")
    damaged.touch()
    damaged.with_name(damaged.name + "-wal").touch()
    assert f"{damaged} was damaged and set aside" in doctor(home)[1]["MQTT sessions"]
    damaged.unlink()
    assert not doctor(home)[1]["MQTT sessions"]


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ("CERTIFICATE_DAYS_MIN", "server.pem expires soon: restart the gateway"),
        ("AUTHORITY_DAYS_MIN", "give its new authority.pem to every TLS client"),
    ],
)
def test_a_certificate_that_expires_is_told(home, doctor, monkeypatch, limit, words):
    monkeypatch.setattr(status, limit, 100_000)
    assert not doctor(home)[1]["certificates"], "without a TLS listener nobody sees it"
    text = home.settings.read_text()
    home.settings.write_text(text.replace("# tls =", "tls ="))

    assert words in doctor(home)[1]["certificates"]


@pytest.mark.parametrize(
    ("profile", "address", "words"),
    [
        ("no-such-profile", None, "no-such-profile"),
        ("json-energy", "modbus-tcp://h", "remove its address"),
        ("eastron-sdm630", None, "add address"),
    ],
)
def test_a_device_that_the_gateway_refuses_is_found(home, doctor, profile, address, words):
    add_device(home, "bad", profile, address, 1000)

    assert words in doctor(home)[1]["devices and profiles"]


def test_a_full_disk_is_found(home, doctor, monkeypatch):
    monkeypatch.setattr(disk, "FREE_BYTES_MIN", 2**60)

    assert "MiB free: make room" in doctor(home)[1]["disk"]


def test_a_clock_that_nobody_disciplines_is_found(home, doctor, monkeypatch):
    monkeypatch.setattr(SystemClock, "is_synchronised", lambda _self: False)

    assert "enable NTP" in doctor(home)[1]["clock"]


def test_the_text_says_what_to_mend(home, capsys):
    assert main(("doctor", "--home", str(home.path))) == 1

    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("ok") and "settings" in line for line in lines)
    assert any(line.startswith("MEND") and "SmartAgent" in line for line in lines)


def test_the_status_of_a_node_that_does_not_run_is_one_line(home, capsys):
    assert main(("status", "--home", str(home.path))) == 1

    (line,) = capsys.readouterr().err.splitlines()
    assert "is `smartshare gateway` running?" in line


def test_what_was_too_much_for_the_broker_is_in_its_line_and_nothing_else():
    assert status._describe_overload(Overload()) == ""
    overload = Overload(("meter",), 1, cut_off=2, refused_connections=3, dropped=4, waiting=5)

    assert status._describe_overload(overload) == (
        ", 3 refused, 4 messages dropped, 2 clients cut off, 1 devices slowed down in the last minute, "
        "5 waiting for the disk"
    )
