"""The MQTT connector between a stand-in broker and a stand-in store."""

from gateway.connectors.mqtt.connector import MqttConnector
from gateway.errors import Rejected, RejectReason
from gateway.model.device import DeviceConfig
from gateway.model.observation import DeviceMessage, StoredReading
from gateway.profiles.library import ProfileLibrary
from ledger.types.reading import ClockStatus, Reading

LIBRARY = ProfileLibrary(None)
UP = "ss/v1/home/dev/meter/up"


class Store:
    """Keeps what it is given; the test commits."""

    def __init__(self):
        self.waiting = []

    def submit(self, observation, done):
        self.waiting.append((observation, done))


def make_connector(store):
    devices = [
        (DeviceConfig("meter", "json-energy", None, 1000), LIBRARY.get("json-energy")),
        (DeviceConfig("plug", "shelly-plus-plug-s", None, 1000), LIBRARY.get("shelly-plus-plug-s")),
    ]
    return MqttConnector(devices, store)


def test_a_message_is_done_only_after_its_commit():
    store = Store()
    outcomes: list[Rejected | None] = []
    message = DeviceMessage("meter", UP, b'{"power_active_total": 5, "time": 1769860800}')
    make_connector(store).accept(message, outcomes.append)
    [(observation, done)] = store.waiting
    assert outcomes == []
    assert observation.device == "meter"
    assert observation.source_time_ms == 1_769_860_800_000
    assert observation.quantities[2].value == 5000
    reading = Reading(
        device_id=bytes(32),
        sequence=1,
        profile_hash=bytes(32),
        source_time_ms=None,
        gateway_time_ms=1,
        clock=ClockStatus.SYNCHRONISED,
        quantities=observation.quantities,
        salt=bytes(16),
    )
    done(StoredReading("meter", reading, b""))
    assert outcomes == [None]


def test_the_stores_refusal_is_passed_on():
    store = Store()
    outcomes: list[Rejected | None] = []
    message = DeviceMessage("meter", UP, b'{"power_active_total": 5}')
    make_connector(store).accept(message, outcomes.append)
    refusal = Rejected(RejectReason.OVERLOADED, "the store is full")
    store.waiting[0][1](refusal)
    assert outcomes == [refusal]


def test_bad_data_never_reaches_the_store():
    store = Store()
    outcomes: list[Rejected | None] = []
    connector = make_connector(store)
    connector.accept(DeviceMessage("meter", UP, b"{"), outcomes.append)
    connector.accept(DeviceMessage("ghost", UP, b"{}"), outcomes.append)
    connector.accept(DeviceMessage("plug", UP, b'{"apower": 1}'), outcomes.append)
    assert [one.reason for one in outcomes if one is not None] == [
        RejectReason.MALFORMED,
        RejectReason.UNKNOWN_DEVICE,
        RejectReason.UNKNOWN_TOPIC,
    ]
    assert store.waiting == []


def test_a_topic_without_readings_is_done_at_once():
    store = Store()
    outcomes: list[Rejected | None] = []
    make_connector(store).accept(DeviceMessage("plug", "plug/online", b"true"), outcomes.append)
    assert outcomes == [None]
    assert store.waiting == []
