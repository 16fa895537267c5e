"""MQTT 5 on one connection, as a script; clauses are those of the OASIS standard, version 5.0."""

from dataclasses import replace

import pytest

from gateway.broker.codec.reasons import Reason
from gateway.broker.core import BrokerCore
from gateway.broker.message import Message
from gateway.broker.settings import RECEIVE_MAX
from gateway.errors import Rejected, RejectReason
from tests.support import mqtt5
from tests.support.broker_script import (
    CONNECT,
    KEPT,
    LIMITS,
    METER,
    NO_DISK,
    POISON,
    READER,
    Clock,
    Script,
    make_core,
    publish,
    subscribe,
)

GOODBYE = 0xE0
FOREVER = 0xFFFFFFFF


def core_and_clock() -> tuple[BrokerCore, Clock]:
    clock = Clock()
    return make_core(clock=clock), clock


def reader(core: BrokerCore, client_id: str = "r", *encoded: bytes, clean: bool = True) -> Script:
    return Script(core).connect(READER, mqtt5.connect(client_id, *encoded, clean=clean))


def connack(script: Script, packet: bytes) -> bytes:
    script.link.receive(packet)
    script.link.admit(READER)
    return script.take()[0]


def farewell(script: Script) -> Reason:
    """Return the reason of the DISCONNECT that came last."""
    packet = script.take()[-1]
    assert (packet[0], packet[1]) == (GOODBYE, 1)
    assert script.is_closed()
    return Reason(packet[2])


def test_connack_tells_the_negotiated_limits():
    packet = connack(Script(), mqtt5.connect("c", mqtt5.long(0x11, FOREVER), keep_alive=10_000))

    assert packet[:4] == bytes((0x20, len(packet) - 2, 0, 0))
    for told in (
        mqtt5.long(0x11, LIMITS.offline_session_expiry_s),
        mqtt5.word(0x21, RECEIVE_MAX),
        mqtt5.long(0x27, LIMITS.packet_bytes_max),
        mqtt5.word(0x13, LIMITS.keep_alive_max_s),
        mqtt5.word(0x22, 32),
    ):
        assert told in packet


def test_what_was_asked_for_and_granted_is_not_told():
    packet = connack(Script(), mqtt5.connect("c", mqtt5.long(0x11, 60), keep_alive=60))

    assert mqtt5.long(0x11, 60) not in packet
    assert b"\x13\0\x3c" not in packet


@pytest.mark.parametrize(
    ("principal", "client_id", "topic"),
    [(READER, "c", "response/c"), (METER, "c", "down/response/c"), (READER, "a/#", "")],
)
def test_response_information_is_a_topic_that_the_client_may_subscribe_to(
    principal, client_id, topic
):
    script = Script()
    script.link.receive(mqtt5.connect(client_id, mqtt5.byte(0x19, 1)))
    script.link.admit(principal)
    packet = script.take()[0]

    assert (mqtt5.text(0x1A, topic) in packet) == bool(topic)
    assert (b"\x1a" in packet) == bool(topic)


def test_a_client_without_name_is_given_one_that_it_can_use_again():
    core, _ = core_and_clock()
    script = Script(core)
    packet = connack(script, mqtt5.connect("", mqtt5.long(0x11, 60)))
    name = packet.split(b"\x12\0")[1]
    name = name[1 : 1 + name[0]]
    script.close("lost")

    again = connack(Script(core), mqtt5.connect(name.decode(), mqtt5.long(0x11, 60), clean=False))

    assert again[2] == 1


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (mqtt5.connect("c", mqtt5.text(0x15, "SCRAM-SHA-1")), Reason.BAD_AUTHENTICATION_METHOD),
        (mqtt5.connect("x" * 300), Reason.CLIENT_IDENTIFIER_NOT_VALID),
    ],
)
def test_a_refused_connect_is_told_why(packet, reason):
    script = Script()

    script.link.receive(packet)

    assert script.take() == [bytes((0x20, 3, 0, reason, 0))]
    assert script.is_closed()


@pytest.mark.parametrize(
    "packet",
    [
        mqtt5.connect("c", mqtt5.word(0x21, 0)),  # receive maximum 0
        mqtt5.connect("c", mqtt5.long(0x27, 0)),  # maximum packet size 0
        mqtt5.connect("c", mqtt5.byte(0x19, 2)),
        mqtt5.connect("c", mqtt5.long(0x11, 1), mqtt5.long(0x11, 1)),  # twice
        mqtt5.connect("c", mqtt5.word(0x23, 1)),  # a topic alias has no place here
        mqtt5.connect("c", mqtt5.text(0x16, b"data")),  # authentication data without method
        mqtt5.connect("c", b"\x7f"),  # no such property
        mqtt5.connect("c", b"\x21\0"),  # cut short
        mqtt5.connect("c", b"\x26" + mqtt5.blob("k")),  # half a user property
        mqtt5.connect("c", will=("a/#", "x")),
        mqtt5.connect(
            "c", will=("a", "\N{LATIN SMALL LETTER E WITH ACUTE}"), will_properties=b"\x02\x01\x02"
        ),
    ],
)
def test_a_malformed_connect_is_closed(packet):
    script = Script()

    script.link.receive(packet)

    assert script.is_closed()
    assert script.asked is None


def test_a_password_may_come_without_a_user_name():
    script = Script()

    script.link.receive(mqtt5.connect("c", flags=0x40, tail=mqtt5.blob("secret")))

    assert script.asked is not None
    assert (script.asked.username, script.asked.password) == ("", b"secret")


def test_properties_travel_unaltered_and_in_order_3_3_2_17():
    core, _ = core_and_clock()
    script = reader(core)
    script.link.receive(mqtt5.subscribe("a", 0))
    script.take()
    travelling = (
        mqtt5.user("k", "1"),
        mqtt5.text(0x09, b"\0\1"),
        mqtt5.user("k", "2"),
        mqtt5.text(0x08, "answers/here"),
        mqtt5.text(0x03, "text/plain"),
        mqtt5.byte(0x01, 1),
        mqtt5.user("k", "1"),
    )

    reader(core, "w").link.receive(mqtt5.publish("a", b"x", *travelling))

    assert script.take() == [mqtt5.publish("a", b"x", *travelling)]


def test_a_client_of_3_1_1_gets_the_message_without_properties():
    core, _ = core_and_clock()
    script = Script(core).connect(READER)
    script.link.receive(subscribe("a", 1))
    script.take()

    reader(core, "w").link.receive(mqtt5.publish("a", b"x", mqtt5.user("k", "v"), qos=1))

    assert script.take() == [publish("a", "x", 1, 1)]


def test_the_remaining_expiry_is_forwarded_and_an_expired_message_is_not_3_3_2_5():
    core, clock = core_and_clock()
    script = reader(core, "r", mqtt5.long(0x11, 600))
    script.link.receive(mqtt5.subscribe("#", 1))
    script.close("lost")
    writer = reader(core, "w")
    writer.link.receive(mqtt5.publish("long", b"x", mqtt5.long(0x02, 100), qos=1))
    writer.link.receive(mqtt5.publish("short", b"x", mqtt5.long(0x02, 5), qos=1, packet_id=2))
    clock.ms += 30_000

    script = reader(core, "r", mqtt5.long(0x11, 600), clean=False)

    assert script.take() == [mqtt5.publish("long", b"x", mqtt5.long(0x02, 70), qos=1)]


def test_a_delivery_that_was_begun_is_brought_to_its_end_however_late():
    core, clock = core_and_clock()
    script = reader(core, "r", mqtt5.long(0x11, 600))
    script.link.receive(mqtt5.subscribe("#", 2))
    script.take()
    reader(core, "w").link.receive(mqtt5.publish("a", b"x", mqtt5.long(0x02, 5), qos=2))
    assert len(script.take()) == 1
    script.close("lost")
    clock.ms += 30_000

    script = reader(core, "r", mqtt5.long(0x11, 600), clean=False)

    assert script.take() == [mqtt5.publish("a", b"x", mqtt5.long(0x02, 1), qos=2, flags=8)]


def test_a_retained_message_expires():
    core, clock = core_and_clock()
    reader(core, "w").link.receive(mqtt5.publish("a", b"x", mqtt5.long(0x02, 5), flags=1))
    early, late = reader(core), reader(core, "late")

    early.link.receive(mqtt5.subscribe("a", 0))
    clock.ms += 5_000
    late.link.receive(mqtt5.subscribe("a", 0))

    assert len(early.take()) == 2
    assert len(late.take()) == 1


def test_topic_aliases_from_the_client_3_3_2_3_4():
    core, _ = core_and_clock()
    script = reader(core)
    script.link.receive(mqtt5.subscribe("#", 0))
    script.take()
    writer = reader(core, "w")

    writer.link.receive(mqtt5.publish("a", b"1", mqtt5.word(0x23, 3)))
    writer.link.receive(mqtt5.publish("", b"2", mqtt5.word(0x23, 3)))
    writer.link.receive(mqtt5.publish("b", b"3", mqtt5.word(0x23, 3)))
    writer.link.receive(mqtt5.publish("", b"4", mqtt5.word(0x23, 3)))

    assert script.take() == [
        mqtt5.publish("a", b"1"),
        mqtt5.publish("a", b"2"),
        mqtt5.publish("b", b"3"),
        mqtt5.publish("b", b"4"),
    ]


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (mqtt5.publish("a", b"", mqtt5.word(0x23, 0)), Reason.TOPIC_ALIAS_INVALID),
        (mqtt5.publish("a", b"", mqtt5.word(0x23, 33)), Reason.TOPIC_ALIAS_INVALID),
        (mqtt5.publish("", b"", mqtt5.word(0x23, 9)), Reason.PROTOCOL_ERROR),
        (mqtt5.publish("", b""), Reason.PROTOCOL_ERROR),
        (mqtt5.publish("a", b"", mqtt5.text(0x08, "r/#")), Reason.PROTOCOL_ERROR),
        (mqtt5.publish("a", b"", b"\x0b\x01"), Reason.MALFORMED_PACKET),  # a subscription id
        (mqtt5.publish("a", b"", b"\x81\0\x01"), Reason.MALFORMED_PACKET),  # id not minimal
        (mqtt5.publish("a/#", b""), Reason.MALFORMED_PACKET),
        (mqtt5.subscribe("a", 0x04 | 0x40), Reason.MALFORMED_PACKET),  # reserved bits
        (mqtt5.subscribe("a", 3), Reason.PROTOCOL_ERROR),
        (mqtt5.subscribe("a", 0x30), Reason.PROTOCOL_ERROR),  # retain handling 3
        (mqtt5.subscribe("a", 0, b"\x0b\x00"), Reason.PROTOCOL_ERROR),  # subscription id 0
        (mqtt5.subscribe("$share/g/a", 0x04), Reason.PROTOCOL_ERROR),  # no local, shared
        (mqtt5.subscribe("$share/g", 0), Reason.PROTOCOL_ERROR),
        (mqtt5.subscribe("$share//a", 0), Reason.PROTOCOL_ERROR),
        (mqtt5.subscribe("$share/+/a", 0), Reason.PROTOCOL_ERROR),
        (mqtt5.frame(0x82, b"\0\1\0"), Reason.PROTOCOL_ERROR),  # no filter
        (mqtt5.connect("c"), Reason.PROTOCOL_ERROR),
        (mqtt5.frame(0xF0, b"\0\0"), Reason.PROTOCOL_ERROR),  # AUTH without a method
        (mqtt5.disconnect(0, mqtt5.long(0x11, 5)), Reason.PROTOCOL_ERROR),  # 0 cannot grow
        (b"\x30\xff\xff\xff\x7f", Reason.PACKET_TOO_LARGE),
        (b"\x36\5\0\1aXX", Reason.MALFORMED_PACKET),
    ],
)
def test_a_client_that_breaks_the_rules_is_told_which(packet, reason):
    other = Script()
    other.connect(READER, CONNECT)
    script = Script(other.core).connect(METER, mqtt5.connect())

    script.link.receive(packet)

    assert farewell(script) is reason
    assert not other.is_closed()


def test_topic_aliases_to_the_client_are_used_up_to_its_maximum():
    core, _ = core_and_clock()
    script = reader(core, "r", mqtt5.word(0x22, 1))
    script.link.receive(mqtt5.subscribe("#", 0))
    script.take()
    for topic in ("a", "a", "b", "a"):
        core.route(Message(topic, b"x", 0, is_retained=False), None, None)

    alias = mqtt5.word(0x23, 1)
    assert script.take() == [
        mqtt5.publish("a", b"x", alias),
        mqtt5.publish("", b"x", alias),
        mqtt5.publish("b", b"x"),
        mqtt5.publish("", b"x", alias),
    ]


def test_the_window_is_the_clients_receive_maximum():
    core, _ = core_and_clock()
    script = reader(core, "r", mqtt5.word(0x21, 1))
    script.link.receive(mqtt5.subscribe("#", 1))
    script.take()
    for text in (b"1", b"2"):
        core.route(Message("a", text, 1, is_retained=False), None, None)

    assert script.take() == [mqtt5.publish("a", b"1", qos=1, packet_id=1)]
    script.link.receive(mqtt5.ack(4, 1, 0x80))  # a refusal ends the exchange too
    assert script.take() == [mqtt5.publish("a", b"2", qos=1, packet_id=2)]


def test_a_smaller_window_after_a_reconnect_holds_for_what_is_sent_again():
    core, _ = core_and_clock()
    script = reader(core, "r", mqtt5.long(0x11, 60))
    script.link.receive(mqtt5.subscribe("#", 1))
    for text in (b"1", b"2", b"3"):
        core.route(Message("a", text, 1, is_retained=False), None, None)
    script.close("lost")

    script = reader(core, "r", mqtt5.long(0x11, 60), mqtt5.word(0x21, 2), clean=False)

    first, second = (mqtt5.publish("a", b"%d" % n, qos=1, packet_id=n, flags=8) for n in (1, 2))
    assert script.take() == [first, second]
    script.link.receive(mqtt5.ack(4, 1))
    assert script.take() == [mqtt5.publish("a", b"3", qos=1, packet_id=3, flags=8)]


def test_a_message_longer_than_the_client_takes_is_dropped_and_the_next_comes_3_1_2_25():
    core, _ = core_and_clock()
    script = reader(core, "r", mqtt5.long(0x27, 40))
    script.link.receive(mqtt5.subscribe("#", 2))
    script.take()
    for text in (bytes(100), b"fits"):
        core.route(Message("a", text, 2, is_retained=False), None, None)

    assert script.take() == [mqtt5.publish("a", b"fits", qos=2, packet_id=2)]


def test_more_unacknowledged_messages_than_allowed_end_the_connection_3_3_4_9():
    script = Script().connect(METER, mqtt5.connect())
    for packet_id in range(1, RECEIVE_MAX + 1):
        script.link.receive(mqtt5.publish("cmd", b"", qos=2, packet_id=packet_id))
    assert not script.is_closed()

    script.link.receive(mqtt5.publish("cmd", b"", qos=1, packet_id=500))

    assert farewell(script) is Reason.RECEIVE_MAXIMUM_EXCEEDED


@pytest.mark.parametrize(("qos", "kind"), [(1, 0x40), (2, 0x50)])
def test_a_forbidden_publish_is_told_so_and_its_packet_id_is_free(qos, kind):
    script = Script().connect(METER, mqtt5.connect())

    for _ in range(2):
        script.link.receive(mqtt5.publish("other", b"x", qos=qos, packet_id=7))
        assert script.take() == [bytes((kind, 3, 0, 7, Reason.NOT_AUTHORIZED))]

    assert script.core.tally.denied == 2


def test_a_topic_that_is_too_long_or_deep_is_told_so():
    script = Script().connect(READER, mqtt5.connect())

    script.link.receive(mqtt5.publish("a/" * 20, b"x", qos=1))

    assert script.take() == [bytes((0x40, 3, 0, 1, Reason.TOPIC_NAME_INVALID))]


def test_a_payload_that_is_not_what_it_is_said_to_be_is_told_so_and_goes_nowhere():
    script = Script().connect(METER, mqtt5.connect())

    script.link.receive(mqtt5.publish("up/1", b"\xff", mqtt5.byte(1, 1), qos=1))

    assert script.take() == [bytes((0x40, 3, 0, 1, Reason.PAYLOAD_FORMAT_INVALID))]
    assert script.sink.held == []


def test_a_retained_message_beyond_the_quota_is_told_so():
    core = make_core(replace(LIMITS, retained_per_principal_max=1))
    script = Script(core).connect(READER, mqtt5.connect())

    script.link.receive(mqtt5.publish("a", b"x", qos=1, flags=1))
    script.link.receive(mqtt5.publish("b", b"x", qos=1, flags=1))

    assert script.take() == [b"\x40\2\0\1", bytes((0x40, 3, 0, 1, Reason.QUOTA_EXCEEDED))]


def test_a_reading_that_is_not_stored_is_told_why():
    script = Script().connect(METER, mqtt5.connect())

    script.link.receive(mqtt5.publish("up/1", b"?", qos=1, packet_id=9))
    assert script.take() == []
    script.sink.finish(POISON)

    reason = bytes((Reason.PAYLOAD_FORMAT_INVALID,))
    told = mqtt5.properties(mqtt5.text(0x1F, "not JSON"))
    assert script.take() == [mqtt5.frame(0x40, b"\0\x09" + reason + told)]


def test_no_details_for_a_client_that_wants_none_or_has_no_room():
    for wish in (mqtt5.byte(0x17, 0), mqtt5.long(0x27, 8)):
        script = Script().connect(METER, mqtt5.connect("c", wish))
        script.link.receive(mqtt5.publish("up/1", b"?", qos=1, packet_id=9))
        script.sink.finish(POISON)
        assert script.take() == [bytes((0x40, 3, 0, 9, Reason.PAYLOAD_FORMAT_INVALID))]


def test_a_refused_reading_of_qos_2_ends_its_exchange():
    script = Script().connect(METER, mqtt5.connect("c", mqtt5.byte(0x17, 0)))
    unknown = Rejected(RejectReason.UNKNOWN_DEVICE, "no such device")

    script.link.receive(mqtt5.publish("up/1", b"?", qos=2, packet_id=9))
    script.sink.finish(unknown)
    script.link.receive(mqtt5.publish("up/1", b"ok", qos=2, packet_id=9))
    script.sink.finish()
    script.link.receive(mqtt5.ack(6, 9))

    assert script.take() == [
        bytes((0x50, 3, 0, 9, Reason.NOT_AUTHORIZED)),
        mqtt5.ack(5, 9),
        mqtt5.ack(7, 9),
    ]


def test_where_the_store_failed_nothing_is_acknowledged():
    script = Script().connect(METER, mqtt5.connect())

    script.link.receive(mqtt5.publish("up/1", b"1", qos=1))
    script.sink.finish(NO_DISK)

    assert farewell(script) is Reason.SERVER_BUSY


def test_readings_in_a_row_with_and_without_properties_are_all_stored():
    script = Script().connect(METER, mqtt5.connect())

    for packet_id, extra in enumerate([(), (), (mqtt5.user("k", "v"),), ()], 1):
        payload = b"%d" % packet_id
        script.link.receive(mqtt5.publish("up/1", payload, *extra, qos=1, packet_id=packet_id))
    stored = [message.payload for message, _ in script.sink.held]
    while script.sink.held:
        script.sink.finish()

    assert stored == [b"1", b"2", b"3", b"4"]
    assert script.take() == [mqtt5.ack(4, packet_id) for packet_id in range(1, 5)]


def test_packet_ids_that_are_not_known_are_told_so():
    script = Script().connect(READER, mqtt5.connect())

    script.link.receive(mqtt5.ack(6, 9) + mqtt5.ack(5, 9))

    not_found = Reason.PACKET_IDENTIFIER_NOT_FOUND
    assert script.take() == [mqtt5.ack(7, 9, not_found), mqtt5.ack(6, 9, not_found)]


def test_a_refusal_in_pubrec_ends_the_exchange():
    core, _ = core_and_clock()
    script = reader(core, "r", mqtt5.word(0x21, 1))
    script.link.receive(mqtt5.subscribe("#", 2))
    script.take()
    for text in (b"1", b"2"):
        core.route(Message("a", text, 2, is_retained=False), None, None)
    script.take()

    script.link.receive(mqtt5.ack(5, 1, 0x97))

    assert script.take() == [mqtt5.publish("a", b"2", qos=2, packet_id=2)]


def test_suback_tells_each_result():
    core = make_core(replace(LIMITS, subscriptions_max=2))
    script = Script(core).connect(METER, mqtt5.connect())
    body = b"\0\7\0" + b"".join(mqtt5.blob(f) + b"\1" for f in ("down/1", "#"))
    script.link.receive(mqtt5.frame(0x82, body))
    body = b"\0\7\0" + b"".join(mqtt5.blob(f) + b"\2" for f in ("down/2", "down/3"))
    script.link.receive(mqtt5.frame(0x82, body))

    assert script.take() == [
        bytes((0x90, 5, 0, 7, 0, 1, Reason.NOT_AUTHORIZED)),
        bytes((0x90, 5, 0, 7, 0, 2, Reason.QUOTA_EXCEEDED)),
    ]


def test_unsuback_tells_each_result():
    script = Script().connect(READER, mqtt5.connect())
    script.link.receive(mqtt5.subscribe("a", 1))
    script.take()

    script.link.receive(mqtt5.unsubscribe("a", "b"))

    assert script.take() == [bytes((0xB0, 5, 0, 1, 0, 0, Reason.NO_SUBSCRIPTION_EXISTED))]


def test_subscription_identifiers_come_with_the_message_3_3_4_3():
    core, _ = core_and_clock()
    script = reader(core)
    script.link.receive(mqtt5.subscribe("a/#", 0, b"\x0b\x07"))
    script.link.receive(mqtt5.subscribe("a/b", 0, b"\x0b\x80\x01"))
    script.take()

    core.route(Message("a/b", b"x", 0, is_retained=False), None, None)
    core.route(Message("a/c", b"x", 0, is_retained=False), None, None)

    assert script.take() == [
        mqtt5.publish("a/b", b"x", b"\x0b\x07", b"\x0b\x80\x01"),
        mqtt5.publish("a/c", b"x", b"\x0b\x07"),
    ]


def test_no_local_3_8_3_3():
    core, _ = core_and_clock()
    script, other = reader(core), reader(core, "o")
    for one in (script, other):
        one.link.receive(mqtt5.subscribe("a", 0x04))
        one.take()

    script.link.receive(mqtt5.publish("a", b"x"))

    assert script.take() == []
    assert other.take() == [mqtt5.publish("a", b"x")]


def test_retain_as_published_3_3_1_3():
    core, _ = core_and_clock()
    keeping, clearing = reader(core), reader(core, "o")
    keeping.link.receive(mqtt5.subscribe("a", 0x08))
    clearing.link.receive(mqtt5.subscribe("a", 0))
    keeping.take(), clearing.take()

    core.route(Message("a", b"x", 0, is_retained=True), None, None)
    core.route(Message("a", b"y", 0, is_retained=False), None, None)

    assert keeping.take() == [mqtt5.publish("a", b"x", flags=1), mqtt5.publish("a", b"y")]
    assert clearing.take() == [mqtt5.publish("a", b"x"), mqtt5.publish("a", b"y")]


@pytest.mark.parametrize(
    ("retain_handling", "replays"), [(0, [1, 1]), (1, [1, 0]), (2, [0, 0])], ids=str
)
def test_retain_handling_3_3_1_9(retain_handling, replays):
    core, _ = core_and_clock()
    core.route(Message("a", b"x", 0, is_retained=True), None, None)
    script = reader(core)

    for count in replays:
        script.link.receive(mqtt5.subscribe("a", retain_handling << 4))
        assert len(script.take()) == 1 + count


def shared(core: BrokerCore, *names: str, qos: int = 1) -> list[Script]:
    scripts = []
    for name in names:
        script = reader(core, name, mqtt5.long(0x11, 60))
        script.link.receive(mqtt5.subscribe("$share/g/t/+", qos))
        script.take()
        scripts.append(script)
    return scripts


def test_a_shared_subscription_gives_each_message_to_one_member_in_turn_4_8_2():
    core, _ = core_and_clock()
    first, second = shared(core, "1", "2")
    outsider = reader(core, "o")
    outsider.link.receive(mqtt5.subscribe("t/#", 1))
    outsider.take()

    for _ in range(4):
        core.route(Message("t/a", b"x", 0, is_retained=False), None, None)

    assert [len(script.take()) for script in (first, second, outsider)] == [2, 2, 4]


def test_a_shared_message_goes_to_a_member_that_is_there_and_waits_only_if_none_is():
    core, _ = core_and_clock()
    first, second = shared(core, "1", "2")
    first.close("lost")
    core.route(Message("t/a", b"1", 1, is_retained=False), None, None)
    assert len(second.take()) == 1
    second.close("lost")
    core.route(Message("t/a", b"2", 1, is_retained=False), None, None)

    waiting = [reader(core, name, mqtt5.long(0x11, 60), clean=False).take() for name in "12"]

    sent = [packet for packets in waiting for packet in packets]
    assert len([packet for packet in sent if packet.endswith(b"2")]) == 1


def test_a_share_has_no_retained_messages_and_ends_with_its_last_member():
    core, _ = core_and_clock()
    core.route(Message("t/a", b"kept", 1, is_retained=True), None, None)
    first, second = shared(core, "1", "2")
    nodes = len(core.trie)

    first.link.receive(mqtt5.unsubscribe("$share/g/t/+"))
    core.route(Message("t/a", b"x", 0, is_retained=False), None, None)
    assert len(second.take()) == 1
    second.link.receive(mqtt5.unsubscribe("$share/g/t/+"))

    assert len(core.trie) == 1 < nodes
    assert first.take()[1:] == []


def test_the_rights_hold_for_what_a_share_matches():
    script = Script().connect(METER, mqtt5.connect())

    script.link.receive(mqtt5.subscribe("$share/g/other", 1))
    script.link.receive(mqtt5.subscribe("$share/g/down/+", 1))

    assert [packet[-1] for packet in script.take()] == [Reason.NOT_AUTHORIZED, 1]


def test_a_device_takes_no_messages_from_a_share_of_others():
    core, _ = core_and_clock()
    service = reader(core)
    device = Script(core).connect(METER, mqtt5.connect("d"))
    for script in (device, service):
        script.link.receive(mqtt5.subscribe("$share/g/down/+", 0))
        script.take()

    for _ in range(2):
        core.route(Message("down/1", b"x", 0, is_retained=False), None, None)

    assert [len(service.take()), len(device.take())] == [2, 2]


def test_a_session_lasts_as_long_as_it_was_asked_to_3_1_2_23():
    core, clock = core_and_clock()
    due: list[int] = []
    core.on_due = due.append
    reader(core, "r", mqtt5.long(0x11, 10)).close("lost")
    assert due == [clock.ms + 10_000]
    clock.ms += 9_999
    core.tick()
    assert len(core.sessions) == 1

    clock.ms += 1
    core.tick()

    assert len(core.sessions) == 0


def test_disconnect_may_change_how_long_a_session_lasts():
    core, _ = core_and_clock()
    reader(core, "r", mqtt5.long(0x11, 10)).link.receive(mqtt5.disconnect(0, mqtt5.long(0x11, 0)))
    assert len(core.sessions) == 0

    reader(core, "r", mqtt5.long(0x11, 10)).link.receive(mqtt5.disconnect(0, mqtt5.long(0x11, 99)))
    assert core.sessions.next_expiry_ms() == 99_000 + core.clock.now_ms()


def test_a_session_of_clean_start_0_without_expiry_ends_with_its_connection():
    core, _ = core_and_clock()
    reader(core, "r", clean=False).close("lost")

    assert len(core.sessions) == 0


def will(core: BrokerCore, delay_s: int, expiry_s: int, client_id: str = "w") -> Script:
    delay = mqtt5.properties(mqtt5.long(0x18, delay_s), mqtt5.user("k", "v"), mqtt5.long(0x02, 30))
    packet = mqtt5.connect(
        client_id, mqtt5.long(0x11, expiry_s), will=("gone", client_id), will_properties=delay
    )
    return Script(core).connect(READER, packet)


GONE = mqtt5.publish("gone", b"w", mqtt5.long(0x02, 30), mqtt5.user("k", "v"))


def listening(core: BrokerCore) -> Script:
    script = reader(core)
    script.link.receive(mqtt5.subscribe("gone", 0))
    script.take()
    return script


def test_a_will_waits_for_its_delay_and_has_its_properties_3_1_3_9():
    core, clock = core_and_clock()
    script = listening(core)
    will(core, delay_s=5, expiry_s=60).close("lost")
    assert script.take() == []

    clock.ms += 5_000
    core.tick()

    assert script.take() == [GONE]


def test_a_client_that_returns_in_time_leaves_no_will():
    core, clock = core_and_clock()
    script = listening(core)
    will(core, delay_s=5, expiry_s=60).close("lost")

    reader(core, "w", mqtt5.long(0x11, 60), clean=False)
    clock.ms += 10_000
    core.tick()

    assert script.take() == []


@pytest.mark.parametrize("expiry_s", [0, 3])
def test_a_will_comes_when_its_session_ends_before_its_delay(expiry_s):
    core, clock = core_and_clock()
    script = listening(core)
    will(core, delay_s=50, expiry_s=expiry_s).close("lost")
    clock.ms += expiry_s * 1_000
    core.tick()

    assert script.take() == [GONE]


def test_a_clean_start_ends_the_session_and_so_the_will_comes():
    core, _ = core_and_clock()
    script = listening(core)
    will(core, delay_s=50, expiry_s=60).close("lost")

    reader(core, "w", clean=True)

    assert script.take() == [GONE]


def test_disconnect_with_will_3_14_4_3():
    core, _ = core_and_clock()
    script = listening(core)
    will(core, 0, 0).link.receive(mqtt5.disconnect(0))
    assert script.take() == []

    for reason in (Reason.DISCONNECT_WITH_WILL, Reason.UNSPECIFIED_ERROR):
        will(core, 0, 0).link.receive(mqtt5.disconnect(reason))
        assert script.take() == [GONE]


def test_who_is_replaced_is_told_so():
    core, _ = core_and_clock()
    first = reader(core)

    reader(core)

    assert farewell(first) is Reason.SESSION_TAKEN_OVER


def test_nothing_is_sent_after_the_client_said_goodbye():
    script = Script().connect(READER, mqtt5.connect())

    script.link.receive(mqtt5.disconnect())

    assert script.take() == []
    assert script.is_closed()


def test_both_versions_share_sessions():
    core, _ = core_and_clock()
    old = Script(core).connect(READER, KEPT)
    old.link.receive(subscribe("a", 1))
    old.close("lost")
    core.route(
        Message("a", b"x", 1, is_retained=False, properties=mqtt5.user("k", "v")), None, None
    )

    new = reader(core, "c", mqtt5.long(0x11, 60), clean=False)

    assert new.take() == [mqtt5.publish("a", b"x", mqtt5.user("k", "v"), qos=1)]
