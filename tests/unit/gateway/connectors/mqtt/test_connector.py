"""The MQTT connector between a stand-in broker and a stand-in store."""

from gateway.connectors.mqtt.connector import MqttConnector
from gateway.errors import RejectReason
from gateway.model.device import DeviceConfig
from gateway.model.observation import Measured
from gateway.ports import DeviceMessages
from gateway.profiles.library import ProfileLibrary
from tests.support.readings import Outcomes

LIBRARY = ProfileLibrary(None)
UP = "ss/v1/home/dev/meter/up"


class Store:
    """Keeps what it is given."""

    def __init__(self):
        self.taken = []

    def take(self, messages, decoded):
        for one, outcomes in zip(messages, decoded, strict=True):
            self.taken.append((one.source, one.device, list(outcomes)))


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
    make_connector(store).accept([DeviceMessages(source, "meter", UP, [payload])])

    [(taken_source, device, [measured])] = store.taken
    assert taken_source is source
    assert device == "meter"
    assert measured.source_time_ms == 1_769_860_800_000
    assert measured.quantities[2].value == 5000


def test_bad_data_is_refused_in_its_turn():
    store, source = Store(), Outcomes(nobody_answers_yet)
    make_connector(store).accept(
        [
            DeviceMessages(source, "meter", UP, [b"{", b'{"power_active_total": 5}']),
            DeviceMessages(source, "ghost", UP, [b"{}", b"{}"]),
            DeviceMessages(source, "plug", UP, [b'{"apower": 1}']),
        ]
    )

    assert [(sender, device) for sender, device, _ in store.taken] == [
        (source, "meter"),
        (source, "ghost"),
        (source, "plug"),
    ]
    (bad, good), *others = [decoded for _, _, decoded in store.taken]
    assert isinstance(good, Measured)
    assert [[one.reason for one in refused] for refused in ([bad], *others)] == [
        [RejectReason.MALFORMED],
        [RejectReason.UNKNOWN_DEVICE] * 2,
        [RejectReason.UNKNOWN_TOPIC],
    ]


def test_a_topic_without_readings_is_done_in_its_turn():
    store, source = Store(), Outcomes(nobody_answers_yet)
    make_connector(store).accept([DeviceMessages(source, "plug", "plug/online", [b"true"])])
    assert store.taken == [(source, "plug", [None])]
