"""The demonstration's home: made once, taken up again, and never made of a real one."""

import tomllib

import pytest

from gateway.app.credentials import CredentialFile
from gateway.app.provision import initialise
from gateway.app.registry import load_devices
from gateway.broker.passwords import verify_password
from gateway.demo.parties import CONSUMER_AMOUNT, Consumer, load_consumer
from gateway.demo.stage import DAY_MS, METER, PLUG, PLUG_PASSWORD_FILE, SPEED, prepare
from gateway.errors import SettingsError
from gateway.ledger_host.genesis import load_genesis
from gateway.settings import Home, load_settings
from tests.support.readings import ManualClock


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("stage") / "home")
    prepare(home, ManualClock())
    return home


def test_a_home_that_was_made_holds_what_the_demonstration_needs(home):
    settings = load_settings(home)

    assert settings.simulation is not None
    assert settings.simulation.factor == SPEED
    assert settings.simulation.origin_ms == ManualClock().now_ms()
    assert settings.simulation.start_ms % DAY_MS == 0
    assert settings.simulation.start_ms > ManualClock().now_ms()
    assert settings.discovery.interfaces == ("127.0.0.1",)
    assert settings.anchoring.age_max_ms == 3_600_000
    assert [entry.config.name for entry in load_devices(home)] == [METER, PLUG]
    stored = CredentialFile(home).password_hash(PLUG)
    assert stored is not None
    assert verify_password(stored, (home.path / PLUG_PASSWORD_FILE).read_bytes())


def test_the_consumer_holds_coins_from_the_genesis(home):
    consumer = load_consumer(home.path)
    amounts = {one.address: one.amount for one in load_genesis(home).allocations}

    assert amounts[consumer.address] == CONSUMER_AMOUNT


def test_a_home_of_a_demonstration_is_taken_up_again(home):
    before = {path: path.read_bytes() for path in home.path.rglob("*") if path.is_file()}
    prepare(home, ManualClock())

    assert {p: p.read_bytes() for p in home.path.rglob("*") if p.is_file()} == before


def test_the_home_of_a_real_node_is_refused_and_left_alone(tmp_path):
    home = Home(tmp_path / "home")
    initialise(home, "real", ManualClock())
    before = {path: path.read_bytes() for path in home.path.rglob("*") if path.is_file()}

    with pytest.raises(SettingsError, match="is the home of a real node"):
        prepare(home, ManualClock())
    assert {p: p.read_bytes() for p in home.path.rglob("*") if p.is_file()} == before
    assert tomllib.loads(home.settings.read_text())["name"] == "real"


def test_a_consumers_key_is_not_shown():
    assert "0707" not in repr(Consumer(b"\x07" * 32))
    assert "\\x07" not in repr(Consumer(b"\x07" * 32))
