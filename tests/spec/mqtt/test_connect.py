"""CONNECT and CONNACK: what is accepted, what is refused, and what happens to either."""

import pytest

from tests.spec.mqtt import wire
from tests.spec.mqtt.conftest import Desk
from tests.spec.mqtt.peer import reasons_of
from tests.spec.mqtt.statement import statement
from tests.spec.mqtt.wire import V5, V311, Kind, Login, Prop, Publish, Will

pytestmark = pytest.mark.integration

LETTERS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
ILL_FORMED = b"a\xed\xa0\x80b"  # a surrogate


@pytest.mark.parametrize("kind", ["PUBLISH", "SUBSCRIBE", "PINGREQ", "DISCONNECT"])
@statement(v3="3.1.0-1", v5="3.1.0-1")
def test_whoever_does_not_begin_with_connect_is_cut_off(mqtt: Desk, kind):
    packets = {
        "PUBLISH": Publish(mqtt.topic("a")).encode(mqtt.version),
        "SUBSCRIBE": wire.subscribe(mqtt.version, 1, [("#", 0)]),
        "PINGREQ": wire.PINGREQ,
        "DISCONNECT": wire.disconnect(mqtt.version),
    }
    peer = mqtt.open().send(packets[kind])

    assert peer.raw() == b""


@statement(v3="3.1.0-2", v5="3.1.0-2")
def test_a_second_connect_ends_the_connection(mqtt: Desk):
    peer = mqtt.connect("c")

    peer.send(wire.connect(mqtt.version, mqtt.name("c")))

    mqtt.broken(peer, 0x82)


@statement(v3="3.1.2-1", v5="3.1.2-1")
def test_another_protocol_name_is_not_served(mqtt: Desk):
    good = wire.connect(mqtt.version, mqtt.name())
    peer = mqtt.open().send(good.replace(b"MQTT", b"NQTT"))

    while data := peer.raw():
        assert data[0] == Kind.CONNACK << 4
        assert data[3] in {0x01, 0x84}


@pytest.mark.parametrize("level", [2, 6, 255])
@statement(v3="3.1.2-2", v5="3.1.2-2")
def test_an_unknown_protocol_level_is_refused_as_such(mqtt: Desk, level):
    good = wire.connect(mqtt.version, mqtt.name())
    peer = mqtt.open().send(
        good.replace(b"MQTT" + bytes((mqtt.version,)), b"MQTT" + bytes((level,)))
    )

    answer = peer.raw()

    # Each version names the reason in its own way and a server cannot know which one is understood.
    assert answer[0] == Kind.CONNACK << 4
    assert answer[3] in {0x01, 0x84}
    assert peer.raw() == b""


@statement(v3="3.1.2-3", v5="3.1.2-3")
def test_the_reserved_connect_flag_must_be_zero(mqtt: Desk):
    mqtt.refused(wire.raw_connect(mqtt.version, 0x03, wire.text(mqtt.name())))


@statement(v3="3.1.4-1", v5="3.1.4-1")
@pytest.mark.parametrize("broken", ["cut short", "followed by bytes", "without a flags byte"])
def test_a_malformed_connect_is_not_accepted(mqtt: Desk, broken):
    good = wire.connect(mqtt.version, mqtt.name())
    body = {
        "cut short": good[2:-1],
        "followed by bytes": good[2:] + b"\0",
        "without a flags byte": good[2:9],
    }[broken]

    packets = mqtt.refused(wire.frame(0x10, body))

    assert mqtt.version == V5 or not packets


@pytest.mark.parametrize("flags", [0x0A, 0x12, 0x22], ids=["QoS 1", "QoS 2", "retain"])
@statement(v3="3.1.2-11 3.1.2-13 3.1.2-15", v5="3.1.2-11 3.1.2-13")
def test_will_options_without_a_will_are_malformed(mqtt: Desk, flags):
    mqtt.refused(wire.raw_connect(mqtt.version, flags, wire.text(mqtt.name())))


@statement(v3="3.1.2-14", v5="3.1.2-12")
def test_a_will_has_no_qos_of_3(mqtt: Desk):
    login = Login(will=Will(mqtt.topic("will"), qos=3))

    mqtt.refused(wire.connect(mqtt.version, mqtt.name(), login))


@statement(v3="3.1.2-9", v5="3.1.2-9")
def test_a_will_flag_without_a_will_is_malformed(mqtt: Desk):
    mqtt.refused(wire.raw_connect(mqtt.version, 0x06, wire.text(mqtt.name())))


@pytest.mark.parametrize(
    ("flags", "fields"),
    [
        pytest.param(0x02, 1, id="user name without its flag"),
        pytest.param(0x82, 0, id="flag without a user name"),
        pytest.param(0x82, 2, id="password without its flag"),
        pytest.param(0xC2, 1, id="flag without a password"),
    ],
)
@statement(v3="3.1.2-18 3.1.2-19 3.1.2-20 3.1.2-21", v5="3.1.2-16 3.1.2-17 3.1.2-18 3.1.2-19")
def test_flags_and_credentials_must_agree(mqtt: Desk, flags, fields):
    payload = wire.text(mqtt.name()) + wire.text("x") * fields

    mqtt.refused(wire.raw_connect(mqtt.version, flags, payload))


@statement(v3="3.1.2-22")
def test_a_password_needs_a_user_name(mqtt: Desk):
    payload = wire.text(mqtt.name()) + wire.text("secret")

    assert not mqtt.refused(wire.raw_connect(V311, 0x42, payload))


@statement(v3="3.1.3-3", v5="3.1.3-3")
def test_a_client_identifier_must_be_present(mqtt: Desk):
    mqtt.refused(wire.raw_connect(mqtt.version, 0x02, b""))


@statement(v3="3.1.3-4", v5="3.1.3-4")
def test_a_client_identifier_is_well_formed_text(mqtt: Desk):
    mqtt.refused(wire.connect(mqtt.version, ILL_FORMED))


@pytest.mark.parametrize("length", [1, 22, 23])
@statement(v3="3.1.3-5", v5="3.1.3-5")
def test_short_plain_client_identifiers_are_allowed(mqtt: Desk, length):
    for start in range(0, len(LETTERS), length):
        peer = mqtt.open().send(wire.connect(mqtt.version, LETTERS[start : start + length]))
        assert peer.expect(Kind.CONNACK).reason == 0
        peer.disconnect()


@statement(v3="3.1.3-6", v5="3.1.3-6 3.1.3-7 3.2.2-16")
def test_clients_without_a_name_get_one_each(mqtt: Desk):
    peers = [mqtt.open().send(wire.connect(mqtt.version, "")) for _ in range(3)]

    answers = [peer.expect(Kind.CONNACK) for peer in peers]

    assert [answer.reason for answer in answers] == [0] * 3
    for peer in peers:
        peer.ping()  # nobody took over from anybody
    if mqtt.version == V5:
        assert len({answer.one(Prop.ASSIGNED_CLIENT_ID) for answer in answers} - {None, ""}) == 3


@statement(v5="3.2.2-16")
def test_an_assigned_name_can_be_used_to_come_back(mqtt: Desk):
    login = Login(properties=[(Prop.SESSION_EXPIRY, 60)])
    first = mqtt.open().send(wire.connect(V5, "", login))
    name = first.expect(Kind.CONNACK).one(Prop.ASSIGNED_CLIENT_ID)
    first.close()
    assert isinstance(name, str)

    again = mqtt.open().send(wire.connect(V5, name, Login(is_clean=False)))

    assert again.expect(Kind.CONNACK).session_present


@statement(v3="3.1.3-7 3.1.3-8 3.2.2-4 3.2.2-5")
def test_a_kept_session_needs_a_name(mqtt: Desk):
    packets = mqtt.refused(wire.connect(V311, "", Login(is_clean=False)))

    assert reasons_of(packets, Kind.CONNACK) == [2]


@statement(v3="3.1.3-9", v5="3.1.3-8")
def test_a_refused_name_is_called_so(mqtt: Desk):
    peer = mqtt.open().send(wire.connect(mqtt.version, "x" * 10_000))

    answer = peer.expect(Kind.CONNACK)

    if answer.reason == 0:
        pytest.skip("this broker takes names of 10,000 bytes")
    assert answer.reason == (0x85 if mqtt.version == V5 else 2)
    assert not peer.end()


@statement(v3="3.1.3-10", v5="3.1.3-11")
def test_a_will_topic_is_well_formed_text(mqtt: Desk):
    login = Login(will=Will(ILL_FORMED))

    mqtt.refused(wire.connect(mqtt.version, mqtt.name(), login))


@statement(v3="3.1.3-11", v5="3.1.3-12")
def test_a_user_name_is_well_formed_text(mqtt: Desk):
    login = Login(username=ILL_FORMED, password=b"x")

    mqtt.refused(wire.connect(mqtt.version, mqtt.name(), login))


@statement(v3="3.1.3-2 3.1.4-2", v5="3.1.3-2 3.1.4-3")
def test_a_second_connection_of_a_client_ends_the_first(mqtt: Desk):
    first = mqtt.connect("same")

    second = mqtt.connect("same")

    mqtt.broken(first, 0x8E)
    second.ping()


@statement(v3="3.1.4-4 3.2.0-1", v5="3.1.4-5 3.2.0-1 3.2.0-2")
def test_connack_comes_first_and_once_whatever_follows_connect(mqtt: Desk):
    topic = mqtt.topic("a")
    peer = mqtt.open().send(
        wire.connect(mqtt.version, mqtt.name()),
        wire.PINGREQ,
        wire.subscribe(mqtt.version, 1, [(topic, 0)]),
        Publish(topic).encode(mqtt.version),
    )

    assert peer.expect(Kind.CONNACK).reason == 0
    peer.expect(Kind.PINGRESP)
    assert peer.expect(Kind.SUBACK).packet_id == 1
    assert peer.message().topic == topic
    assert not peer.messages()


@statement(v3="3.2.0-1", v5="3.2.0-1")
def test_connack_comes_before_what_waits_for_a_session(mqtt: Desk):
    reader, topic = mqtt.connect("reader", keep=True), mqtt.topic("a")
    reader.subscribe(topic, qos=1)
    reader.disconnect()
    mqtt.connect().publish(topic, b"waits", 1)

    reader = mqtt.connect("reader", keep=True)  # asserts that CONNACK is the first packet

    assert reader.message().payload == b"waits"


@statement(v3="3.1.4-5")
def test_nothing_after_a_refused_connect_counts(mqtt: Desk):
    topic = mqtt.topic("a")
    reader = mqtt.connect()
    reader.subscribe(topic)

    mqtt.refused(wire.connect(V311, "", Login(is_clean=False)) + Publish(topic).encode(V311))

    assert not reader.messages()


@statement(v5="3.1.4-6 3.1.4-2 4.12.0-1 4.12.0-4 4.13.2-1 3.2.2-6 3.2.2-7 3.2.2-8")
def test_an_unknown_authentication_method_is_refused_and_nothing_after_it_counts(mqtt: Desk):
    topic = mqtt.topic("a")
    reader = mqtt.connect()
    reader.subscribe(topic)
    login = Login(properties=[(Prop.AUTH_METHOD, "none-such"), (Prop.AUTH_DATA, b"x")])

    packets = mqtt.refused(wire.connect(V5, mqtt.name(), login) + Publish(topic).encode(V5))

    told = reasons_of(packets, Kind.CONNACK)
    assert told == [0x8C] if mqtt.is_ours else set(told) <= {0x8C, 0x87}
    assert not reader.messages()


@statement(v5="3.2.2-1 4.12.0-6 3.1.2-28")
def test_connack_tells_only_what_was_asked(mqtt: Desk):
    _, connack = mqtt.login()  # the reader checks the reserved bits

    assert connack.one(Prop.AUTH_METHOD) is None
    assert connack.one(Prop.RESPONSE_INFO) is None
    assert connack.one(Prop.ASSIGNED_CLIENT_ID) is None


@pytest.mark.parametrize(
    "pairs",
    [
        pytest.param([(Prop.RECEIVE_MAXIMUM, 0)], id="receive maximum 0"),
        pytest.param([(Prop.MAXIMUM_PACKET_SIZE, 0)], id="maximum packet size 0"),
        pytest.param([(Prop.SESSION_EXPIRY, 1)] * 2, id="a property twice"),
        pytest.param([(Prop.REQUEST_PROBLEM_INFO, 2)], id="neither 0 nor 1"),
        pytest.param([(Prop.AUTH_DATA, b"x")], id="authentication data without a method"),
        pytest.param([(Prop.TOPIC_ALIAS, 1)], id="a property of another packet"),
    ],
)
@statement(v5="3.1.4-1 4.13.1-1")
def test_properties_that_contradict_the_standard_are_refused(mqtt: Desk, pairs):
    mqtt.refused(wire.connect(V5, mqtt.name(), Login(properties=pairs)))


@statement(v5="3.1.4-1 4.13.1-1")
def test_an_unknown_property_is_refused(mqtt: Desk):
    body = wire.text("MQTT") + b"\5\2\0\0" + b"\2\x7f\0" + wire.text(mqtt.name())

    mqtt.refused(wire.frame(0x10, body))
