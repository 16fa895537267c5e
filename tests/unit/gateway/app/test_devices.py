"""The devices in force follow the file; a file with a mistake changes nothing and is named."""

import asyncio

import pytest

from gateway.app import devices
from gateway.app.devices import DeviceSet
from gateway.app.publishing import ReadingPublisher
from gateway.app.registry import add_device, bind_session, remove_device
from gateway.app.sessions import SessionRecorder
from gateway.errors import GatewayError, Rejected, RejectReason
from gateway.ports import DeviceMessages
from gateway.profiles.library import ProfileLibrary
from gateway.readings.store import ReadingsStore
from gateway.settings import Home
from ledger.codec.text import format_address
from tests.support.readings import NODE_ID, ManualClock, Outcomes

CONTRACT = bytes(range(32))


class Bindings:
    """A recorder that only remembers what it is to feed."""

    def __init__(self) -> None:
        self.calls: list[list[tuple[str, str]]] = []

    def bind(self, bindings) -> None:
        self.calls.append([(device, one.session) for device, one in bindings])


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    home.create()
    return home


@pytest.fixture
def store(home):
    store = ReadingsStore.open(home.readings, ManualClock(), NODE_ID)
    yield store
    store.close()


def make_set(home: Home, store: ReadingsStore) -> DeviceSet:
    return DeviceSet(home, "gw1", store, ReadingPublisher(store, "gw1"), ManualClock())


async def send(devices_: DeviceSet, name: str) -> Rejected | None:
    """Hand in a message of a json-energy device and return the broker's answer."""
    answer: asyncio.Future[Rejected | None] = asyncio.get_running_loop().create_future()
    source = Outcomes(answer.set_result)
    payloads = (b'{"power_active_total": 5}',)
    devices_.accept((DeviceMessages(source, name, f"ss/v1/gw1/dev/{name}/up", payloads),))
    async with asyncio.timeout(5):
        return await answer


async def test_a_device_of_the_file_is_known_and_stored(home, store):
    add_device(home, "plug", "json-energy", None, 1000)
    devices_ = make_set(home, store)
    devices_.load()

    principal = devices_.principal("plug")
    assert principal is not None
    assert "ss/v1/gw1/dev/plug/up" in principal.publish_filters
    assert await send(devices_, "plug") is None
    assert len(store.last("plug", 5)) == 1
    assert devices_.principal("other") is None
    refused = await send(devices_, "other")
    assert refused is not None
    assert refused.reason is RejectReason.UNKNOWN_DEVICE


async def test_a_polled_device_has_no_login(home, store):
    add_device(home, "meter", "eastron-sdm630", "modbus-tcp://127.0.0.1:1", 1000)
    devices_ = make_set(home, store)
    devices_.load()

    assert devices_.principal("meter") is None
    assert [one.name for one in store.devices()] == ["meter"]


@pytest.mark.parametrize(
    ("profile", "address", "words"),
    [
        ("no-such-profile", None, "no profile is called 'no-such-profile'"),
        ("eastron-sdm630", None, "add address"),
        ("json-energy", "modbus-tcp://h", "remove its address"),
        ("bthome-v2", None, "BLE devices cannot be connected yet"),
    ],
)
async def test_a_file_with_a_mistake_changes_nothing(home, store, profile, address, words):
    add_device(home, "plug", "json-energy", None, 1000)
    devices_ = make_set(home, store)
    devices_.load()
    add_device(home, "bad", profile, address, 1000)

    with pytest.raises(GatewayError, match=words):
        devices_.load()
    assert devices_.principal("plug") is not None
    assert await send(devices_, "plug") is None
    assert [one.name for one in store.devices()] == ["plug"]


class Watched:
    """A device set that watches its file while the block runs."""

    def __init__(self, devices_: DeviceSet) -> None:
        self.devices = devices_
        self.bindings = Bindings()

    async def __aenter__(self):
        self.devices.load()
        recorder: SessionRecorder = self.bindings  # type: ignore[assignment]
        self._running = asyncio.create_task(self.devices.run(recorder))
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)

    async def until(self, is_so) -> None:
        async with asyncio.timeout(10):
            while not is_so():
                assert not self._running.done()
                await asyncio.sleep(0.005)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(devices, "CHECK_INTERVAL_S", 0.01)


@pytest.mark.usefixtures("quick")
async def test_a_changed_file_comes_into_force_by_itself(home, store):
    async with Watched(make_set(home, store)) as watched:
        assert watched.devices.principal("plug") is None
        add_device(home, "plug", "json-energy", None, 1000)
        await watched.until(lambda: watched.devices.principal("plug"))
        assert await send(watched.devices, "plug") is None

        bind_session(home, "plug", format_address(CONTRACT), "day", 1)
        await watched.until(lambda: watched.bindings.calls[-1] == [("plug", "day")])

        remove_device(home, "plug")
        await watched.until(lambda: watched.devices.principal("plug") is None)
        await watched.until(lambda: watched.bindings.calls[-1] == [])


@pytest.mark.usefixtures("quick")
async def test_a_broken_file_is_named_until_it_is_mended(home, store, caplog):
    add_device(home, "plug", "json-energy", None, 1000)
    async with Watched(make_set(home, store)) as watched:
        good = home.devices.read_text()
        home.devices.write_text("[devices.plug\n")
        await watched.until(lambda: "not valid TOML" in watched.devices.problem)
        await asyncio.sleep(0.05)
        assert caplog.text.count("the devices stay as they were") == 1, "it is logged once"
        assert await send(watched.devices, "plug") is None

        home.devices.write_text(good)
        await watched.until(lambda: not watched.devices.problem)
        assert await send(watched.devices, "plug") is None


@pytest.mark.usefixtures("quick")
async def test_a_profile_that_was_missing_may_come_later(home, store):
    async with Watched(make_set(home, store)) as watched:
        add_device(home, "own", "my-plug", None, 1000)
        await watched.until(lambda: "my-plug" in watched.devices.problem)

        shipped = ProfileLibrary()._files["json-energy"].read_text()
        (home.profiles / "my-plug.yaml").write_text(
            shipped.replace("name: json-energy", "name: my-plug")
        )
        await watched.until(lambda: watched.devices.principal("own"))
        assert watched.devices.problem == ""


@pytest.mark.usefixtures("quick")
async def test_a_file_that_is_taken_away_is_no_devices(home, store):
    add_device(home, "plug", "json-energy", None, 1000)
    async with Watched(make_set(home, store)) as watched:
        home.devices.unlink()
        await watched.until(lambda: watched.devices.principal("plug") is None)
        assert watched.devices.problem == ""
