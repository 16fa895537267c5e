"""The home folder and its settings file: defaults, one-line refusals, and writes that survive a crash."""

import os
import stat
import tomllib

import msgspec
import pytest
from hypothesis import given, strategies as st

from gateway.errors import SettingsError
from gateway.settings import (
    SETTINGS_BYTES_MAX,
    Home,
    Settings,
    broker_endpoint,
    explain,
    load_settings,
    load_toml,
    parse_listen,
    write_atomic,
    write_private,
)


def settings(text: str) -> Settings:
    return msgspec.convert(tomllib.loads(text), Settings)


def test_a_name_is_all_that_must_be_set(tmp_path):
    home = Home(tmp_path)
    home.settings.write_text('name = "house"\n')

    loaded = load_settings(home)

    assert loaded.broker.listen == "127.0.0.1:1883"
    assert (loaded.anchoring.readings_max, loaded.anchoring.age_max_ms) == (1000, 10_000)
    assert loaded.discovery.enabled
    assert loaded.discovery.interfaces == ()
    assert loaded.simulation is None


def test_a_folder_that_is_no_home_says_how_to_make_one(tmp_path):
    with pytest.raises(SettingsError, match=f"smartshare init --home {tmp_path} --new-network"):
        load_settings(Home(tmp_path))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"name = ", "not valid TOML"),
        (b'name = "\xff"', "byte 8 is not UTF-8"),
        (b"a = " + b"[" * 5_000, "nested too deeply"),
        (b"#" * (SETTINGS_BYTES_MAX + 1), "at most"),
        (b'name = "x"\n[broker]\nlisten = 5', "broker.listen: Expected `str`, got `int`"),
        (b'name = "x"\n[anchoring]\nreadings_max = 0', "anchoring.readings_max: "),
    ],
)
def test_a_mistake_is_one_line_with_the_file_and_the_key(tmp_path, content, words):
    path = tmp_path / "smartshare.toml"
    path.write_bytes(content)

    with pytest.raises(SettingsError) as raised:
        load_toml(path, Settings)

    assert words in str(raised.value)
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)


def test_a_file_that_cannot_be_read_is_one_line(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        load_toml(tmp_path, Settings)


def test_the_key_comes_first_in_an_explanation():
    with pytest.raises(msgspec.ValidationError) as raised:
        settings('name = "x"\n[simulation]\nstart_ms = -1\norigin_ms = 0\nfactor = 1')
    assert explain(raised.value) == "simulation.start_ms: Expected `int` >= 0"

    assert explain(msgspec.ValidationError("no place")) == "no place"


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:1883", "127.0.0.1", 1883),
        ("[::1]:1", "::1", 1),
        (":::65535", "::", 65_535),
        ("0.0.0.0:08080", "0.0.0.0", 8080),
        ("my-host.lan:1883", "my-host.lan", 1883),
    ],
)
def test_a_listening_address(text, host, port):
    assert parse_listen(text) == (host, port)


@pytest.mark.parametrize(
    "text",
    [
        *("", "1883", ":1883", "h:", "h:0", "h:65536", "h:-1", "h:1e3", "h:000065123", "h: 1883"),
        *('h":1883', "h\n:1883", "h:१८८३", "a/b:1883", "[::1:x]:1883"),
    ],
)
def test_what_is_no_listening_address_is_one_line(text):
    with pytest.raises(SettingsError, match="not HOST:PORT") as raised:
        parse_listen(text)
    assert "\n" not in str(raised.value)


@given(st.text(max_size=60) | st.from_regex(r"[a-z0-9:.\[\]]{1,20}:[0-9]{1,6}"))
def test_any_text_is_an_address_or_one_line(text):
    try:
        host, port = parse_listen(text)
    except SettingsError as error:
        line = str(error)
    else:
        line = tomllib.loads(f'listen = "{text}"')["listen"]  # it can stand in a settings file
        assert 1 <= port <= 65_535
        assert host
    assert "\n" not in line


@pytest.mark.parametrize(
    ("listen", "host"),
    [("0.0.0.0:1883", "127.0.0.1"), (":::1883", "::1"), ("10.0.0.7:1883", "10.0.0.7")],
)
def test_the_broker_is_reached_by_an_address_of_this_machine(listen, host):
    assert broker_endpoint(settings(f'name = "x"\n[broker]\nlisten = "{listen}"')) == (host, 1883)


def test_a_home_keeps_secrets_in_private_folders(tmp_path):
    home = Home(tmp_path / "deep" / "home")
    home.create()
    home.create()

    for folder in (home.secrets, home.agent, home.readings.parent, home.chain.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
    assert home.agent_socket.parent.is_dir()


def test_a_private_file_is_private_from_the_first_byte(tmp_path):
    path = tmp_path / "password"
    old_mask = os.umask(0)
    try:
        write_private(path, b"secret")
    finally:
        os.umask(old_mask)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_write_replaces_the_content_and_leaves_nothing_behind(tmp_path):
    path = tmp_path / "file"
    write_atomic(path, b"first, and longer")
    write_atomic(path, b"second")

    assert path.read_bytes() == b"second"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("fails", ["write", "fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_content(tmp_path, monkeypatch, fails):
    path = tmp_path / "file"
    write_atomic(path, b"old")

    def fail(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    if fails == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    elif fails == "replace":
        monkeypatch.setattr(type(path), "replace", fail)
    data: object = b"new" if fails != "write" else _Unwritable()
    with pytest.raises((OSError, TypeError)):
        write_atomic(path, data)  # type: ignore[arg-type]

    assert path.read_bytes() == b"old"
    if fails != "write":
        assert [one.name for one in tmp_path.iterdir()] == ["file"]


class _Unwritable:
    """What no file takes: the process dies of it in the middle of a write."""


def test_a_planted_link_is_not_followed(tmp_path, monkeypatch):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    monkeypatch.setattr("gateway.settings.secrets.token_hex", lambda _count: "guessed")
    (tmp_path / ".file.guessed").symlink_to(victim)

    with pytest.raises(FileExistsError):
        write_atomic(tmp_path / "file", b"new")
    assert victim.read_bytes() == b"precious"
