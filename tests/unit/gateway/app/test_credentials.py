"""Passwords are kept as hashes, read again when the file changes, and give nobody else's rights."""

import stat

import pytest

from gateway.app.credentials import CredentialFile, device_principal, service_principal
from gateway.broker.passwords import verify_password
from gateway.errors import SettingsError
from gateway.model import topics
from gateway.settings import Home


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    home.create()
    return home


def matches(credentials: CredentialFile, name: str, password: str) -> bool:
    stored = credentials.password_hash(name)
    return stored is not None and verify_password(stored, password.encode())


def test_a_password_is_shown_once_and_kept_as_a_hash(home):
    password = CredentialFile(home).set_new_password("plug")
    path = home.secrets / "credentials.json"

    assert matches(CredentialFile(home), "plug", password)
    assert not matches(CredentialFile(home), "plug", password + "x")
    assert password not in path.read_text()
    assert "$argon2id$" in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_running_gateway_sees_what_a_command_changes(home):
    running, command = CredentialFile(home), CredentialFile(home)
    assert running.password_hash("plug") is None
    first = command.set_new_password("plug")
    assert matches(running, "plug", first)

    second = command.set_new_password("plug")
    assert not matches(running, "plug", first)
    assert matches(running, "plug", second)

    command.remove("plug")
    assert running.password_hash("plug") is None
    (home.secrets / "credentials.json").unlink()
    assert running.password_hash("plug") is None


def test_users_do_not_touch_each_other(home):
    one, other = CredentialFile(home), CredentialFile(home)
    first = one.set_new_password("a")
    second = other.set_new_password("b")
    one.remove("c")

    assert matches(one, "a", first)
    assert matches(one, "b", second)


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"a": 1}', b"\xff", b"[" * 100_000, b""])
def test_a_damaged_file_is_one_line(home, content):
    path = home.secrets / "credentials.json"
    path.write_bytes(content)

    for use in (lambda c: c.password_hash("a"), lambda c: c.set_new_password("a")):
        with pytest.raises(SettingsError) as raised:
            use(CredentialFile(home))
        assert str(path) in str(raised.value)
        assert "\n" not in str(raised.value)
    assert path.read_bytes() == content, "it is not overwritten"


def test_a_file_that_cannot_be_read_or_written_is_one_line(home):
    (home.secrets / "credentials.json").mkdir()
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        CredentialFile(home).password_hash("a")

    gone = CredentialFile(Home(home.path / "nowhere"))
    with pytest.raises(SettingsError, match="cannot be written: No such file"):
        gone.set_new_password("a")


def test_a_device_may_speak_for_itself_only():
    plug = device_principal("gw1", "plug", ("shellies/plug/#",))

    own = [topics.device("gw1", "plug", leaf) for leaf in ("up", "availability", "set/result")]
    assert all(may_publish(plug, topic) for topic in [*own, "shellies/plug/status"])
    for other in (
        topics.device("gw1", "plug-2", "up"),
        topics.device("gw1", "plug", "state"),
        topics.device("gw2", "plug", "up"),
        topics.bridge("gw1", "health"),
        topics.request("gw1", "ledger", "submit"),
        "shellies/other/status",
    ):
        assert not may_publish(plug, other), other
    assert plug.telemetry_filters == (own[0], "shellies/plug/#")


def test_services_have_the_rights_that_they_need():
    ledger, operator = service_principal("gw1", "_ledger"), service_principal("gw1", "_operator")
    assert ledger is not None
    assert operator is not None

    assert may_publish(ledger, topics.ledger_block("gw1"))
    assert not may_publish(ledger, topics.request("gw1", "ledger", "submit"))
    assert may_publish(operator, topics.request("gw1", "bridge", "health"))
    assert not may_publish(operator, topics.response("gw1", "ledger", "account"))
    assert not may_publish(operator, topics.device("gw1", "plug", "up"))
    assert service_principal("gw1", "plug") is None
    assert service_principal("gw1", "ledger") is None


def may_publish(principal, topic: str) -> bool:
    return any(topics.matches(one, topic) for one in principal.publish_filters)
