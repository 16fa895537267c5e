"""`[broker] url` and its files: every mistake is one line that says what to do."""

from pathlib import Path

import msgspec
import pytest

from gateway.errors import SettingsError
from gateway.messaging.cluster_login import cluster_login, parse_broker_url
from gateway.settings import BrokerSection, Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    (tmp_path / "login").write_text("ann\nsecret\n")
    (tmp_path / "login").chmod(0o600)
    return Home(tmp_path)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mqtt://broker", ("mqtt", "broker", 1883)),
        ("mqtts://broker.example", ("mqtts", "broker.example", 8883)),
        ("mqtt://10.0.0.1:1884/", ("mqtt", "10.0.0.1", 1884)),
        ("mqtt://[fe80::1]:1884", ("mqtt", "fe80::1", 1884)),
    ],
)
def test_an_address_is_scheme_host_and_port(url, expected):
    assert parse_broker_url(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "broker",
        "http://broker",
        "mqtt://",
        "mqtt://b:0",
        "mqtt://b:99999",
        "mqtt://b/path",
        "mqtt://[",
    ],
)
def test_anything_else_is_refused(url):
    with pytest.raises(SettingsError, match="is not mqtt://HOST:PORT"):
        parse_broker_url(url)


def test_secrets_do_not_stand_in_the_settings():
    with pytest.raises(SettingsError, match="the settings are no place for secrets") as caught:
        parse_broker_url("mqtt://ann:hunter2@broker")
    assert "hunter2" not in str(caught.value)


def test_the_login_is_read_from_its_file_and_not_shown(home):
    section = BrokerSection(url="mqtt://broker", login_file="login")
    login = cluster_login(home, section, "smartshare-house")

    assert (login.username, login.password, login.client_id) == (
        "ann",
        "secret",
        "smartshare-house",
    )
    assert login.tls is None
    assert "secret" not in repr(login)


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        ("ann\nsecret\n", 0o644, "others may read it: run `chmod 600"),
        ("ann\n", 0o600, "the user name in the first line"),
        ("", 0o600, "the user name in the first line"),
        (None, 0o600, "cannot be read"),
    ],
)
def test_a_login_file_with_a_mistake_is_told(home, content, mode, words):
    if content is not None:
        (home.path / "other").write_text(content)
        (home.path / "other").chmod(mode)
    with pytest.raises(SettingsError, match=words):
        cluster_login(home, BrokerSection(url="mqtt://b", login_file="other"), "c")


def test_an_authority_that_is_none_is_told(home):
    (home.path / "ca.pem").write_text("nonsense")
    with pytest.raises(SettingsError, match="no certificates can be read from it"):
        cluster_login(home, BrokerSection(url="mqtts://b", authority_file="ca.pem"), "c")


@pytest.mark.parametrize("name", ["tls", "websocket", "websocket_tls"])
def test_an_external_broker_leaves_no_listener_of_our_own(home, name):
    section = msgspec.convert({"url": "mqtt://b", name: "0.0.0.0:1"}, BrokerSection)
    with pytest.raises(SettingsError, match=f"broker.url and broker.{name} exclude each other"):
        cluster_login(home, section, "c")
