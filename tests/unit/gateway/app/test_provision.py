"""A new home: private folders, one chain of its own, and nothing overwritten."""

import shutil
import stat

import msgspec
import pytest

from gateway.app.credentials import CredentialFile
from gateway.app.founding import (
    FOUNDERS_GENESIS_AMOUNT,
    METERING_GENESIS_AMOUNT,
    NetworkOptions,
)
from gateway.app.provision import Membership, initialise
from gateway.app.registry import load_devices
from gateway.broker.passwords import verify_password
from gateway.errors import AgentError, SettingsError
from gateway.ledger_host.genesis import load_genesis
from gateway.messaging.service_login import LEDGER, OPERATOR, service_login
from gateway.settings import Home, load_settings
from gateway.smart_agent.messages import Bind, OnionReveal, OnionValue, Refused
from gateway.smart_agent.provision import open_agent
from gateway.smart_agent.unlock import find_unlock
from ledger.crypto.hashing import sha256
from ledger.params import HEARTBEAT_MS, SLOT_MS
from ledger.types.genesis import Allocation
from ledger.types.genesis_file import genesis_chain_id
from tests.support.readings import ManualClock

CONSUMER = bytes(range(32))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("provision") / "home")
    membership = Membership(NetworkOptions(allocations=(Allocation(CONSUMER, 5),)))
    keys = initialise(home, "cellar", ManualClock(), listen="0.0.0.0:2883", membership=membership)
    return home, keys


def test_everything_that_is_secret_is_private(made):
    home, _ = made

    for folder in (home.secrets, home.agent, home.readings.parent, home.chain.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
    files = [one for folder in (home.secrets, home.agent) for one in folder.rglob("*")]
    secrets = [one for one in files if one.is_file() and one.name != "authority.pem"]
    assert {one.name for one in secrets} >= {
        *("credentials.json", "ledger.password", "sealed.key", "authority.key", "server.pem")
    }
    for path in secrets:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_the_genesis_names_this_agent_and_gives_it_the_first_coins(made):
    home, keys = made
    genesis = load_genesis(home)

    (agent,) = genesis.agents
    assert (agent.node, agent.consensus, agent.metering) == (
        *(keys.node, keys.consensus, keys.metering),
    )
    assert genesis.allocations == (
        Allocation(keys.wallet, FOUNDERS_GENESIS_AMOUNT),
        Allocation(keys.metering, METERING_GENESIS_AMOUNT),
        Allocation(CONSUMER, 5),
    )
    assert (genesis.slot_ms, genesis.heartbeat_ms) == (SLOT_MS, HEARTBEAT_MS)
    assert genesis.time_ms == ManualClock().now_ms()
    assert genesis.name == "cellar"


def test_the_genesis_commits_to_what_this_agent_will_reveal(made):
    home, _ = made
    (agent,) = load_genesis(home).agents

    with open_agent(home.agent, find_unlock(home.agent)) as smart_agent:
        inside = smart_agent.handle(OnionReveal(agent.onion))
    assert isinstance(inside, OnionValue), inside
    assert sha256(inside.value) == agent.onion


def test_the_agent_is_bound_to_this_chain_and_no_other(made):
    home, _ = made
    chain_id = genesis_chain_id(load_genesis(home))

    with open_agent(home.agent, find_unlock(home.agent)) as agent:
        assert agent.description.chain_id == chain_id
        assert isinstance(agent.handle(Bind(bytes(32))), Refused)


def test_the_settings_that_are_written_are_the_defaults(made):
    home, _ = made
    settings = load_settings(home)

    assert (settings.name, settings.broker.listen) == ("cellar", "0.0.0.0:2883")
    plain = msgspec.convert({"name": "cellar"}, type(settings))
    assert settings.anchoring == plain.anchoring
    assert settings.discovery == plain.discovery
    assert load_devices(home) == ()


def test_the_services_can_log_in(made):
    home, _ = made
    credentials = CredentialFile(home)

    for service in (LEDGER, OPERATOR):
        login = service_login(home, load_settings(home), service, "test")
        stored = credentials.password_hash(service)
        assert stored is not None
        assert verify_password(stored, login.password.encode())
        assert (login.host, login.port, login.gateway) == ("127.0.0.1", 2883, "cellar")
        assert login.password not in repr(login)


def test_a_home_is_never_made_twice(made):
    home, _ = made
    before = {path: path.read_bytes() for path in home.path.rglob("*") if path.is_file()}

    with pytest.raises(SettingsError, match="is a Smartshare home already"):
        initialise(home, "other", ManualClock())

    assert {p: p.read_bytes() for p in home.path.rglob("*") if p.is_file()} == before


def test_an_interrupted_start_is_taken_up_with_the_same_identity(made, tmp_path):
    home, keys = made
    other = Home(tmp_path / "home")
    shutil.copytree(home.path, other.path)
    other.settings.unlink()
    genesis = other.genesis.read_bytes()

    again = initialise(other, "cellar", ManualClock())

    assert again.node == keys.node
    assert other.genesis.read_bytes() == genesis
    assert load_settings(other).name == "cellar"


def test_half_an_agent_is_kept(made, tmp_path):
    """Its key may be worth something: only a person may remove it."""
    home, _ = made
    other = Home(tmp_path)
    other.create()
    (other.agent / "sealed.key").write_bytes((home.agent / "sealed.key").read_bytes())

    with pytest.raises(AgentError, match="already holds a SmartAgent"):
        initialise(other, "x", ManualClock())
    assert not other.settings.exists()


@pytest.mark.parametrize("name", ["", "Big", "a/b", "ss", "a" * 33, "_x"])
def test_a_name_that_fits_no_topic_is_refused_before_anything_is_made(tmp_path, name):
    with pytest.raises(SettingsError, match="cannot name a gateway"):
        initialise(Home(tmp_path / "home"), name, ManualClock())
    assert not (tmp_path / "home").exists()


def test_a_place_where_nothing_can_be_made_is_one_line(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(SettingsError, match="cannot be created: Not a directory"):
        initialise(Home(tmp_path / "file" / "home"), "x", ManualClock())
