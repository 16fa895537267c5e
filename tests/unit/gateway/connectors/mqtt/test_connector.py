"""The MQTT connector between a stand-in broker and a stand-in store."""

from gateway.connectors.mqtt.connector import MqttConnector
from gateway.errors import Rejected, RejectReason
from gateway.model.device import DeviceConfig
from gateway.profiles.library import ProfileLibrary
from tests.support.readings import Outcomes

LIBRARY = ProfileLibrary(None)
UP = "ss/v1/home/dev/meter/up"


class Store:
    """Keeps what it is given."""

    def __init__(self):
        self.taken = []
        self.passed_over = []

    def take(self, source, device, measured):
        self.taken.append((source, device, measured))

    def take_once(self, source, device, measured, note):
        note()
        self.take(source, device, measured)

    def pass_over(self, source, refusal):
        self.passed_over.append((source, refusal))


def make_connector(store):
    devices = [
        (DeviceConfig("meter", "json-energy", None, 1000), LIBRARY.get("json-energy")),
        (DeviceConfig("plug", "shelly-plus-plug-s", None, 1000), LIBRARY.get("shelly-plus-plug-s")),
    ]
    return MqttConnector(devices, store)


def nobody_answers_yet(outcome):
    raise AssertionError(outcome)


def test_what_a_message_measured_goes_to_the_store_which_answers_its_source():
    store, source = Store(), Outcomes(nobody_answers_yet)
    payload = b'{"power_active_total": 5, "time": 1769860800}'
    make_connector(store).accept(source, "meter", UP, payload)

    [(taken_source, device, measured)] = store.taken
    assert taken_source is source
    assert device == "meter"
    assert measured.source_time_ms == 1_769_860_800_000
    assert measured.quantities[2].value == 5000
    assert store.passed_over == []


def test_bad_data_is_refused_in_its_turn():
    store, source = Store(), Outcomes(nobody_answers_yet)
    connector = make_connector(store)
    connector.accept(source, "meter", UP, b"{")
    connector.accept(source, "ghost", UP, b"{}")
    connector.accept(source, "plug", UP, b'{"apower": 1}')

    assert store.taken == []
    assert [sender for sender, _ in store.passed_over] == [source] * 3
    refusals = [refusal for _, refusal in store.passed_over]
    assert all(isinstance(one, Rejected) for one in refusals)
    assert [one.reason for one in refusals] == [
        RejectReason.MALFORMED,
        RejectReason.UNKNOWN_DEVICE,
        RejectReason.UNKNOWN_TOPIC,
    ]


def test_a_topic_without_readings_is_done_in_its_turn():
    store, source = Store(), Outcomes(nobody_answers_yet)
    make_connector(store).accept(source, "plug", "plug/online", b"true")
    assert store.passed_over == [(source, None)]
    assert store.taken == []


def test_only_what_is_stored_is_noted():
    store, source, noted = Store(), Outcomes(nobody_answers_yet), []
    connector = make_connector(store)
    for payload in (b'{"power_active_total": 5}', b"{"):
        connector.accept_once(source, "meter", UP, payload, lambda: noted.append(len(store.taken)))
    connector.accept_once(source, "ghost", UP, b"{}", lambda: noted.append(-1))
    connector.accept_once(source, "plug", "plug/online", b"true", lambda: noted.append(-1))

    assert noted == [0], "before the reading that it belongs to"
    assert len(store.taken) == 1
    assert [refusal for _, refusal in store.passed_over][-1] is None
    assert len(store.passed_over) == 3
