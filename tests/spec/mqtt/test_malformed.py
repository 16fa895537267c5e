"""Packets that no client may send: each ends its own connection and no other."""

import pytest

from tests.spec.mqtt import wire
from tests.spec.mqtt.conftest import Desk
from tests.spec.mqtt.statement import statement
from tests.spec.mqtt.wire import V5, Kind, Prop, Publish

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("flags", [1, 2, 8, 15])
@pytest.mark.parametrize("kind", ["PUBACK", "PUBREC", "PUBCOMP", "PINGREQ", "DISCONNECT"])
@statement(v3="2.2.2-1 2.2.2-2 3.14.1-1", v5="2.1.3-1 3.14.1-1")
def test_reserved_flags_must_have_their_value(mqtt: Desk, kind, flags):
    bodies = {"PINGREQ": b"", "DISCONNECT": b""}

    peer = mqtt.connect().send(wire.frame(Kind[kind] << 4 | flags, bodies.get(kind, b"\0\1")))

    mqtt.broken(peer, 0x81)


@pytest.mark.parametrize("flags", [1, 2, 15])
@statement(v3="2.2.2-1 2.2.2-2", v5="2.1.3-1")
def test_reserved_flags_of_connect_must_be_zero(mqtt: Desk, flags):
    mqtt.refused(bytes((0x10 | flags,)) + wire.connect(mqtt.version, mqtt.name())[1:])


@pytest.mark.parametrize("flags", [0, 1, 3, 6, 15])
@statement(v3="3.6.1-1", v5="3.6.1-1")
def test_pubrel_has_fixed_flags(mqtt: Desk, flags):
    peer = mqtt.connect()
    peer.send(Publish(mqtt.topic("a"), qos=2, packet_id=1).encode(mqtt.version))
    peer.expect(Kind.PUBREC)

    peer.send(wire.frame(0x60 | flags, wire.word(1)))

    mqtt.broken(peer, 0x81)


@pytest.mark.parametrize("flags", [0, 1, 15])
@statement(v5="3.15.1-1 2.1.3-1")
def test_auth_has_fixed_flags_and_needs_a_method(mqtt: Desk, flags):
    """Without a method in CONNECT, AUTH is a protocol error whatever its flags."""
    peer = mqtt.connect().send(wire.frame(0xF0 | flags, b"\x19\0"))

    packets = peer.end()

    assert all(getattr(p, "kind", None) == Kind.DISCONNECT for p in packets)


@pytest.mark.parametrize("first", [0x00, 0x0F, 0xF0, 0xFF])
@statement(v3="4.8.0-1", v5="4.13.1-1")
def test_kinds_that_do_not_exist_end_the_connection(mqtt: Desk, first):
    """Kind 15 is AUTH in MQTT 5, where it must not come without a method."""
    peer = mqtt.connect()

    peer.send(bytes((first, 0)))

    assert all(getattr(p, "kind", None) == Kind.DISCONNECT for p in peer.end())


@statement(v3="4.8.0-1", v5="4.13.1-1 1.5.5-1")
def test_a_remaining_length_of_five_bytes_ends_the_connection(mqtt: Desk):
    peer = mqtt.connect()

    peer.send(b"\x30\xff\xff\xff\xff\x01")

    mqtt.broken(peer, 0x81)


@pytest.mark.parametrize("kind", ["PUBACK", "PUBREC", "PUBREL", "PUBCOMP"])
@statement(v3="4.8.0-1", v5="4.13.1-1")
def test_an_acknowledgement_without_a_packet_id_ends_the_connection(mqtt: Desk, kind):
    flags = 2 if kind == "PUBREL" else 0

    peer = mqtt.connect().send(wire.frame(Kind[kind] << 4 | flags, b"\0"))

    mqtt.broken(peer, 0x81)


@statement(v3="4.8.0-1", v5="4.13.1-1")
def test_a_malformed_packet_ends_its_own_connection_only(mqtt: Desk):
    other = mqtt.connect()

    for data in (b"\x30\x02\xff\xff", b"\x82\x01\0", b"\xa2\0", b"\x62\x01\0", b"\x00\x00"):
        mqtt.connect().send(data).end()
        other.ping()


@pytest.mark.parametrize(
    "pair",
    [
        pytest.param(b"\x7f\0", id="unknown"),
        pytest.param(b"\x11\0\0\0\1", id="of another packet"),
        pytest.param(b"\x01\2", id="neither 0 nor 1"),
        pytest.param(b"\x02\0\0", id="cut short"),
        pytest.param(b"\x01\0\x01\0", id="twice"),
        pytest.param(b"\x03\0\1\0", id="NUL in text"),
    ],
)
@statement(v5="4.13.1-1")
def test_properties_that_do_not_fit_end_the_connection(mqtt: Desk, pair):
    body = wire.text(mqtt.topic("a")) + wire.varint(len(pair)) + pair

    peer = mqtt.connect().send(wire.frame(0x30, body))

    assert all(getattr(p, "kind", None) == Kind.DISCONNECT for p in peer.end())


@pytest.mark.parametrize("length", [b"\xff\xff\xff\xff\x01", b"\x05", b"\xff"])
@statement(v5="4.13.1-1 2.2.2-1")
def test_a_property_length_must_fit_its_packet(mqtt: Desk, length):
    peer = mqtt.connect().send(wire.frame(0x30, wire.text(mqtt.topic("a")) + length))

    mqtt.broken(peer, 0x81)


@statement(v5="2.2.2-1")
def test_a_packet_without_a_property_length_ends_the_connection(mqtt: Desk):
    peer = mqtt.connect().send(wire.frame(0x30, wire.text(mqtt.topic("a"))))

    mqtt.broken(peer, 0x81)


@statement(v5="3.3.4-6")
def test_clients_send_no_subscription_identifier(mqtt: Desk):
    message = Publish(mqtt.topic("a"), properties=[(Prop.SUBSCRIPTION_ID, 1)])

    mqtt.broken(mqtt.connect().send(message.encode(V5)), 0x82, 0x81)


@pytest.mark.parametrize("topic", ["answers/#", "+/answers", "#"])
@statement(v5="3.3.2-14")
def test_a_response_topic_has_no_wildcards(mqtt: Desk, topic):
    message = Publish(mqtt.topic("a"), properties=[(Prop.RESPONSE_TOPIC, topic)])

    peer = mqtt.connect().send(message.encode(V5))

    assert all(getattr(p, "kind", None) == Kind.DISCONNECT for p in peer.end())


@pytest.mark.parametrize("identifier", [Prop.RESPONSE_TOPIC, Prop.CONTENT_TYPE])
@statement(v5="3.3.2-13 3.3.2-19")
def test_text_properties_are_well_formed(mqtt: Desk, identifier):
    message = Publish(mqtt.topic("a"), properties=[(identifier, b"\xed\xa0\x80")])

    mqtt.broken(mqtt.connect().send(message.encode(V5)), 0x81)


@statement(v5="4.12.0-7")
def test_auth_without_a_method_is_a_protocol_error(mqtt: Desk):
    pair = wire.properties([(Prop.AUTH_METHOD, "none-such")])

    mqtt.broken(mqtt.connect().send(wire.frame(0xF0, b"\x19" + pair)), 0x82)


@statement(v5="3.14.2-1 3.14.0-1 3.14.4-1 3.14.4-2")
def test_disconnect_is_the_last_packet_and_never_the_first(mqtt: Desk):
    """Before CONNACK there is no DISCONNECT; after DISCONNECT there is nothing."""
    stranger = mqtt.open().send(wire.frame(0x00))
    assert not stranger.end()

    peer = mqtt.connect()
    peer.send(wire.frame(0x00), wire.PINGREQ, wire.PINGREQ)
    packets = peer.end()

    assert [getattr(p, "kind", None) for p in packets] in ([], [Kind.DISCONNECT])


@statement(v3="4.8.0-1", v5="4.13.1-1 3.2.2-15")
def test_a_packet_larger_than_the_server_takes_ends_the_connection_early(mqtt: Desk):
    peer, connack = mqtt.login()
    limit = connack.one(Prop.MAXIMUM_PACKET_SIZE)
    if not isinstance(limit, int) and not mqtt.is_ours:
        pytest.skip("this broker names no limit")

    peer.send(b"\x30" + wire.varint(200_000_000))  # the header alone

    mqtt.broken(peer, 0x95)
