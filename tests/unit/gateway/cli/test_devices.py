"""`device`: what is added can be used at once, and what cannot be used is not added."""

import msgspec
import pytest

from gateway.app.credentials import CredentialFile
from gateway.app.provision import initialise
from gateway.app.registry import load_devices
from gateway.broker.passwords import verify_password
from gateway.cli.main import main
from gateway.settings import Home
from tests.support.readings import ManualClock


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("cli-devices") / "home")
    initialise(home, "test", ManualClock())
    return home


@pytest.fixture
def device(base, monkeypatch, capsys):
    """Run `smartshare device ...` on a home without devices; return exit code and streams."""
    base.devices.write_text("")

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(("device", *arguments, "--home", str(base.path)))
        return code, *capsys.readouterr()

    return run


def names(home: Home) -> list[str]:
    return [entry.config.name for entry in load_devices(home)]


def test_an_mqtt_device_gets_a_login_that_works(base, device):
    code, out, _ = device("add", "plug", "--profile", "json-energy", "--json")
    told = msgspec.json.decode(out)

    assert (code, names(base)) == (0, ["plug"])
    stored = CredentialFile(base).password_hash(told["username"])
    assert stored is not None
    assert verify_password(stored, told["password"].encode())
    assert told["topics"][0] == "ss/v1/test/dev/plug/up"


def test_the_text_shows_the_password_once_and_where_to_publish(device):
    _, out, _ = device("add", "plug", "--profile", "json-energy")

    assert "shown this once" in out
    assert "publish to ss/v1/test/dev/plug/up" in out


def test_a_modbus_device_gets_none(base, device):
    code, out, _ = device(
        *("add", "meter", "--profile", "eastron-sdm630", "--address", "modbus-tcp://h")
    )
    assert (code, names(base)) == (0, ["meter"])
    assert "password" not in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--profile", "eastron-sdm630"), "--address modbus-tcp://"),
        (("--profile", "json-energy", "--address", "modbus-tcp://h"), "remove its address"),
        (("--profile", "bthome-v2"), "BLE devices cannot be connected yet"),
        (("--profile", "json-enrgy"), "json-energy"),
        (("--profile", "json-energy", "--interval-ms", "1"), "interval_ms"),
        (("--profile", "eastron-sdm630", "--address", "h:502"), "modbus-tcp://"),
    ],
)
def test_what_the_gateway_would_refuse_is_not_added(base, device, arguments, words):
    code, out, err = device("add", "new", *arguments)

    assert (code, out, names(base)) == (1, "", [])
    assert words in err
    assert len(err.splitlines()) == 1
    assert CredentialFile(base).password_hash("new") is None


def test_devices_are_listed(device):
    assert "no devices yet" in device("list")[1]
    device("add", "plug", "--profile", "json-energy")
    device("add", "meter", "--profile", "eastron-sdm630", "--address", "modbus-tcp://h")

    _, out, _ = device("list")
    assert "publishes itself" in out
    assert "modbus-tcp://h:502?unit=1" in out
    assert [one["name"] for one in msgspec.json.decode(device("list", "--json")[1])] == [
        *("plug", "meter")
    ]


def test_a_removed_device_loses_its_login(base, device):
    device("add", "plug", "--profile", "json-energy")
    code, out, _ = device("remove", "plug")

    assert (code, names(base)) == (0, [])
    assert "its stored readings stay" in out
    assert CredentialFile(base).password_hash("plug") is None
    code, _, err = device("remove", "plug")
    assert (code, "no device 'plug'" in err) == (1, True)


def test_a_new_password_replaces_the_old_one(base, device):
    old = msgspec.json.decode(device("add", "plug", "--profile", "json-energy", "--json")[1])
    new = msgspec.json.decode(device("credential", "plug", "--json")[1])

    stored = CredentialFile(base).password_hash("plug")
    assert stored is not None
    assert verify_password(stored, new["password"].encode())
    assert not verify_password(stored, old["password"].encode())
    assert device("credential", "other")[0] == 1
